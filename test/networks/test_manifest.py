"""The schema of manifests: strict, safe, and with an error message for every mistake."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from depth_ros.errors import BadManifest
from depth_ros.networks.catalog import find_manifest
from depth_ros.networks.manifest_reader import read_manifest

MODELS = Path(__file__).parents[2] / 'config/models'
GOOD = yaml.safe_load((MODELS / 'depth-anything-3-metric-large.yaml').read_text())


def write(tmp_path, content):
    path = tmp_path / 'model.yaml'
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def changed(*path, value):
    import copy

    content = copy.deepcopy(GOOD)
    place = content
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return content


@pytest.mark.parametrize(
    ('content', 'text'),
    [
        ('', 'is empty; expected a mapping with schema, id'),
        ('a: [', 'cannot be read as YAML'),
        ('!!python/object/apply:os.system ["true"]', 'cannot be read as YAML'),  # nothing is executed
        (changed('colour', value='red'), "unknown key 'colour'; expected schema, id"),
        (changed('decode', 'kind', value=None), "decode: 'kind' is missing; expected one of metric_depth"),
        (changed('schema', value=2), 'schema is 2 (int); expected one of 1'),
        (changed('id', value=7), 'id is 7 (int); expected text'),
        (changed('id', value='../x'), "id '../x' must consist of letters"),
        (changed('decode', 'kind', value='magic'), "kind is 'magic' (str); expected one of metric_depth"),
        (
            changed('preprocess', 'resize', 'width', value='wide'),
            "width is 'wide' (str); expected a whole number or nothing",
        ),
        (changed('preprocess', 'resize', 'width', value=None), "resize.width is missing for mode 'longest'"),
        (changed('preprocess', 'normalize', 'std', value=[1.0, 0.0, 1.0]), 'std without 0'),
        (changed('inputs', 0, 'role', value='left'), "task 'mono' needs an input with role image"),
        (changed('outputs', 0, 'role', value='sky'), "needs exactly one output with role 'raw'"),
        (changed('needs', value=[]), "decode.kind 'canonical_depth' needs fx"),
        (changed('decode', 'canonical_focal', value=None), 'canonical_focal is missing'),
        (changed('decode', 'kind', value='disparity'), "task 'mono' contradicts decode.kind 'disparity'"),
        (changed('artifact', 'file', value='../../etc/passwd'), "leaves the model's folder"),
        (changed('artifact', 'file', value='/etc/passwd'), "leaves the model's folder"),
        (changed('artifact', 'reference', value='../x.npz'), "leaves the model's folder"),
        (changed('artifact', 'urls', value=['file:///etc/passwd']), 'is neither https:// nor hf://'),
        (changed('range_m', value=[1.0]), 'expected a list of 2 values, each a number or nothing'),
    ],
)
def test_a_mistake_is_named_with_file_key_found_and_expected(tmp_path, content, text):
    path = write(tmp_path, content)
    with pytest.raises(BadManifest) as caught:
        read_manifest(path)
    assert text in str(caught.value) and str(path) in str(caught.value)


def test_shipped_manifests_are_valid_and_named_by_their_id():
    paths = sorted(MODELS.glob('*.yaml'))
    assert len(paths) >= 40
    for path in paths:
        assert read_manifest(path).id == path.stem


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
        lambda s: st.lists(s) | st.dictionaries(st.sampled_from([*GOOD, 'x']), s),
    )
)
def test_any_yaml_is_rejected_as_a_manifest(tmp_path_factory, content):
    with pytest.raises(BadManifest):
        read_manifest(write(tmp_path_factory.getbasetemp(), yaml.safe_dump(content)))


def test_the_error_for_an_unknown_model_suggests_the_most_similar_id(tmp_path):
    with pytest.raises(BadManifest, match="did you mean 'depth-anything-v2-base'"):
        find_manifest('depth-anything-v9')
    with pytest.raises(BadManifest, match=r'x\.yaml does not exist. Write one'):
        find_manifest(str(tmp_path / 'x.onnx'))
