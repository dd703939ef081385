from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from depth_ros.errors import BadSettings
from depth_ros.settings.node_settings import MonoSettings, MultiviewSettings, StereoSettings
from depth_ros.settings.parameter_table import defaults, rules

ROOT = Path(__file__).parents[2]
KINDS = [('stereo', StereoSettings), ('mono', MonoSettings), ('multiview', MultiviewSettings)]


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'quality': 'best'}, "quality is 'best' (str); expected one of fast, balanced, strict"),
        ({'quality': 1}, 'quality is 1 (int); expected one of fast, balanced, strict'),
        ({'rectify': 'yes'}, "rectify is 'yes' (str); expected true or false"),
        ({'rectify': 1}, 'rectify is 1 (int); expected true or false'),
        ({'cloud_stride': True}, 'cloud_stride is True (bool); expected a whole number'),
        ({'model': None}, 'model is empty; expected text'),
        ({'cloud_stride': 0}, 'cloud_stride is 0; expected 1 to 64 px'),
        ({'range_min_m': float('nan')}, 'range_min_m is nan; expected 0.01 to 1000 m'),
        (
            {'range_min_m': 5.0, 'range_max_m': 5.0},
            'range_min_m is 5 and range_max_m is 5; expected range_min_m < range_max_m',
        ),
        ({'rang_max_m': 5.0}, "unknown parameter 'rang_max_m'; did you mean 'range_max_m'?"),
        ({'zzz': 5.0}, "unknown parameter 'zzz'; known: autostart"),
    ],
)
def test_an_error_names_the_parameter_its_value_and_the_expected_value(values, message):
    with pytest.raises(BadSettings) as caught:
        StereoSettings().changed(values)
    assert message in str(caught.value)


def test_one_error_names_all_invalid_values():
    with pytest.raises(BadSettings, match='colormap.*quality'):
        StereoSettings().changed({'quality': 'best', 'colormap': 'jet'})


def test_a_change_makes_a_new_object_and_accepts_an_integer_for_a_float():
    old = StereoSettings()
    new = old.changed({'range_max_m': 20})
    assert (old.range_max_m, new.range_max_m) == (40.0, 20.0)
    assert isinstance(new.range_max_m, float)


@given(
    st.sampled_from(sorted(rules(StereoSettings))),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())),
)
def test_any_value_of_any_parameter_is_accepted_or_rejected_with_its_name(name, value):
    try:
        StereoSettings().changed({name: value})
    except BadSettings as error:
        assert name in str(error)


@pytest.mark.parametrize(('name', 'kind'), KINDS)
def test_the_configuration_file_has_every_parameter_at_its_default_and_nothing_else(name, kind):
    content = yaml.safe_load((ROOT / f'config/{name}.yaml').read_text())
    found = {}
    for name, value in content['/**']['ros__parameters'].items():
        found |= {f'{name}.{key}': each for key, each in value.items()} if isinstance(value, dict) else {name: value}
    assert found == dict(defaults(kind))


@pytest.mark.parametrize(('name', 'kind'), KINDS)
def test_the_comments_of_the_configuration_file_are_the_descriptions_of_the_parameters(name, kind):
    comments = ' '.join((ROOT / f'config/{name}.yaml').read_text().replace('#', ' ').split())
    assert not {key for key, rule in rules(kind).items() if rule.description not in comments}


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'model': 'raft-stereo'}, "model is 'raft-stereo'; expected ''"),
        ({'extrinsics': '0 0 1'}, "extrinsics is '0 0 1'; expected six numbers"),
        ({'pose_source': 'tf', 'fixed_frame': ''}, "pose_source is tf and fixed_frame is ''"),
    ],
)
def test_settings_with_which_there_can_be_no_depth_from_motion_are_rejected(values, message):
    with pytest.raises(BadSettings) as caught:
        MultiviewSettings().changed(values)
    assert message in str(caught.value)


def test_the_reference_page_is_up_to_date():
    from depth_ros.settings.parameters_page import page

    assert (ROOT / 'docs/parameters.md').read_text() == page()
