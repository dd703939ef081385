import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from depth_ros.errors import BadFile
from depth_ros.files.calibration_files import read_camera_info, read_middlebury, read_pair
from depth_ros.stages.intrinsics import stereo_rig

CALIBRATOR = """image_width: 640
image_height: 480
camera_name: narrow_stereo/right
camera_matrix:
  rows: 3
  cols: 3
  data: [500.0, 0.0, 320.0, 0.0, 501.0, 240.0, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [0.1, -0.2, 0.0, 0.0, 0.0]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
projection_matrix:
  rows: 3
  cols: 4
  data: [490.0, 0.0, 321.0, -58.8, 0.0, 490.0, 241.0, 0.0, 0.0, 0.0, 1.0, 0.0]
"""
MIDDLEBURY = """cam0=[3979.911 0 1244.772; 0 3979.911 1019.507; 0 0 1]
cam1=[3979.911 0 1369.115; 0 3979.911 1019.507; 0 0 1]
doffs=124.343
baseline=193.001
width=2964
height=1988
ndisp=270
"""


def write(path, text):
    path.write_text(text)
    return path


def test_what_the_camera_calibrator_writes_is_read(tmp_path):
    calibration = read_camera_info(write(tmp_path / 'right.yaml', CALIBRATOR))
    assert (calibration.width, calibration.height) == (640, 480)
    assert calibration.p[3] == -58.8 and calibration.k[4] == 501.0 and calibration.d[1] == -0.2
    assert calibration.distortion_model == 'plumb_bob'


def test_a_middlebury_calibration_gives_baseline_and_offset(tmp_path):
    left, right = read_pair(write(tmp_path / 'calib.txt', MIDDLEBURY), None)
    rig = stereo_rig(left, right, 2964, 1988)
    assert rig.baseline_m == pytest.approx(0.193001)
    assert rig.offset_px == pytest.approx(-124.343)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'contains NoneType; expected a camera_info YAML'),
        ('a: [', 'is not valid YAML'),
        (CALIBRATOR.replace('image_width', 'width'), "has no 'image_width'; its keys are: width"),
        (CALIBRATOR.replace('640', 'wide'), "'image_width' is 'wide': expected a positive integer"),
        (CALIBRATOR.replace('-58.8, ', ''), "'projection_matrix'.*expected 12 numbers in 'data', got 11"),
        (CALIBRATOR.replace('490.0, 0.0, 321.0', 'x, 0.0, 321.0'), "'projection_matrix'.*could not convert"),
        ('!!python/object/apply:os.system ["true"]', 'is not valid YAML'),  # nothing is executed
    ],
)
def test_a_bad_file_is_refused_with_file_and_key(tmp_path, text, message):
    path = write(tmp_path / 'left.yaml', text)
    with pytest.raises(BadFile, match=message) as caught:
        read_camera_info(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (MIDDLEBURY.replace('baseline', 'base'), "has no 'baseline'"),
        (MIDDLEBURY.replace('baseline=193.001', 'baseline=wide'), "'baseline' is 'wide'"),
        (MIDDLEBURY.replace('0 0 1]', '0 0]', 1), "'cam0'.*expected a 3x3 matrix, got 8 numbers"),
    ],
)
def test_a_bad_calib_txt_is_refused(tmp_path, text, message):
    with pytest.raises(BadFile, match=message):
        read_middlebury(write(tmp_path / 'calib.txt', text))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(BadFile, match='nowhere.yaml cannot be read'):
        read_camera_info(tmp_path / 'nowhere.yaml')
    with pytest.raises(BadFile, match='expected a second file'):
        read_pair(write(tmp_path / 'left.yaml', CALIBRATOR), None)


@given(
    st.recursive(
        st.one_of(st.none(), st.integers(), st.floats(), st.text()),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
    )
)
def test_any_yaml_is_rejected_as_a_calibration(tmp_path_factory, content):
    path = write(tmp_path_factory.getbasetemp() / 'info.yaml', yaml.safe_dump(content))
    with pytest.raises(BadFile):
        read_camera_info(path)
