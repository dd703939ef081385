from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from depth_ros.errors import BadSettings
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.settings.parameter_table import defaults, rules

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'quality': 'best'}, "quality is 'best'; expected one of balanced, strict"),
        ({'quality': 1}, 'quality is 1 of type int; expected str'),
        ({'rectify': 'yes'}, "rectify is 'yes' of type str; expected bool"),
        ({'rectify': 1}, 'rectify is 1 of type int; expected bool'),
        ({'cloud_stride': True}, 'cloud_stride is True of type bool; expected int'),
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
def test_a_wrong_value_says_what_got_and_expected(values, message):
    with pytest.raises(BadSettings) as caught:
        StereoSettings().changed(values)
    assert message in str(caught.value)


def test_all_problems_are_told_at_once():
    with pytest.raises(BadSettings, match='colormap.*quality'):
        StereoSettings().changed({'quality': 'best', 'colormap': 'jet'})


def test_a_change_makes_a_new_object_and_a_whole_number_may_stand_for_a_float():
    old = StereoSettings()
    new = old.changed({'range_max_m': 20})
    assert (old.range_max_m, new.range_max_m) == (40.0, 20.0)
    assert isinstance(new.range_max_m, float)


@given(
    st.sampled_from(sorted(rules(StereoSettings))),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())),
)
def test_any_value_for_any_name_is_taken_or_refused_with_words(name, value):
    try:
        StereoSettings().changed({name: value})
    except BadSettings as error:
        assert name in str(error)


@pytest.mark.parametrize(('name', 'kind'), [('stereo', StereoSettings), ('mono', MonoSettings)])
def test_the_configuration_file_has_every_parameter_at_its_default_and_nothing_else(name, kind):
    content = yaml.safe_load((ROOT / f'config/{name}.yaml').read_text())
    found = {}
    for name, value in content['/**']['ros__parameters'].items():
        found |= {f'{name}.{key}': each for key, each in value.items()} if isinstance(value, dict) else {name: value}
    assert found == dict(defaults(kind))


def test_the_reference_page_is_up_to_date():
    from depth_ros.settings.parameters_page import page

    assert (ROOT / 'docs/parameters.md').read_text() == page()
