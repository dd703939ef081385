"""`depth-ros infer`: results from files, without ROS."""

import json
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenes import bent, write_info
from tiny_model import model, prompted_model

from depth_ros.cli.main import main
from depth_ros.files.image_files import write_image_file

NO_ROS = 'import sys; sys.modules["rclpy"] = None; from depth_ros.cli.main import main; sys.exit(main(sys.argv[1:]))'


@pytest.fixture
def files(tmp_path, motorcycle):
    for side in ('left', 'right'):
        write_image_file(tmp_path / f'{side}.png', getattr(motorcycle, side))
        write_info(tmp_path / f'{side}.yaml', getattr(motorcycle, f'{side}_calibration'))
    calib = """cam0=[994.978 0 311.193; 0 994.978 254.877; 0 0 1]
cam1=[994.978 0 342.279; 0 994.978 254.877; 0 0 1]
doffs=31.086
baseline=193.001
width=741
height=500
"""
    (tmp_path / 'calib.txt').write_text(calib)
    return tmp_path


def arguments(files, *more, info=('--left-info', 'left.yaml', '--right-info', 'right.yaml')):
    places = [str(files / a) if '.' in a else a for a in info]
    return [
        'infer',
        '--left',
        str(files / 'left.png'),
        '--right',
        str(files / 'right.png'),
        *places,
        '--out',
        str(files / 'out'),
        *more,
    ]


@pytest.mark.parametrize(
    'info', [('--left-info', 'left.yaml', '--right-info', 'right.yaml'), ('--left-info', 'calib.txt')]
)
def test_a_real_pair_gives_metric_depth_in_every_format_without_ros(files, motorcycle, info):
    result = subprocess.run(
        [sys.executable, '-c', NO_ROS, *arguments(files, '--json', info=info)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    depth_m = np.load(files / 'out/depth.npy')
    accuracy = motorcycle.accuracy(depth_m)
    assert accuracy.valid_fraction >= 0.90 and accuracy.bad2_fraction <= 0.05 and accuracy.median_abs_rel <= 0.004
    assert depth_m.dtype == np.float32 and depth_m.shape == (500, 741)
    assert (figures['width'], figures['height']) == (741, 500)
    known = np.isfinite(depth_m)
    assert figures['valid_fraction'] == pytest.approx(known.mean(), abs=1e-4)
    assert figures['median_m'] == pytest.approx(np.median(depth_m[known]), abs=1e-3)
    disparity = np.load(files / 'out/disparity.npy')
    np.testing.assert_allclose(994.978 * 0.193001 / disparity[known], depth_m[known], rtol=1e-4)
    millimetres = cv2.imread(str(files / 'out/depth.png'), cv2.IMREAD_UNCHANGED)
    assert millimetres.dtype == np.uint16
    np.testing.assert_allclose(millimetres[known] / 1000, depth_m[known], atol=6e-4)
    assert (millimetres[~known] == 0).all()
    assert cv2.imread(str(files / 'out/depth_turbo.png')).shape == (500, 741, 3)
    assert f'element vertex {known.sum()}'.encode() in (files / 'out/points.ply').read_bytes()[:300]


def test_the_text_output_has_size_valid_share_depths_and_time(files, capsys):
    assert main(arguments(files, '--processing-scale', '0.5')) == 0
    text = capsys.readouterr().out
    assert '370x250' in text and '% valid' in text and ' m (min / median / max)' in text and ' ms ' in text


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda f: (f / 'left.png').unlink(), 'left.png cannot be read'),
        (lambda f: (f / 'left.png').write_bytes(b'x'), 'left.png cannot be decoded: '),
        (lambda f: (f / 'right.yaml').write_text('{}'), "right.yaml has no 'image_width'"),
        (lambda f: write_image_file(f / 'right.png', np.zeros((20, 30), np.uint8)), 'expected the same size'),
        (lambda f: (f / 'out').write_text('a file'), 'out is a file; expected a folder for the results'),
    ],
)
def test_bad_files_give_one_line_and_exit_code_1(files, capsys, damage, message):
    damage(files)
    assert main(arguments(files)) == 1
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def test_a_calibration_given_as_an_image_is_reported_without_advice_about_ros(files, capsys):
    wrong = [str(files / 'left.yaml') if a.endswith('left.png') else a for a in arguments(files)]
    assert main(wrong) == 1
    error = capsys.readouterr().err
    assert 'left.yaml cannot be decoded' in error and 'Expected an image file (png, jpg' in error
    assert 'Publish' not in error and 'transport' not in error


def test_exchanged_images_give_a_hint_and_images_in_order_do_not(files, capsys):
    assert main(arguments(files)) == 0
    assert capsys.readouterr().err == ''
    (files / 'left.png').rename(files / 'x.png')
    (files / 'right.png').rename(files / 'left.png')
    (files / 'x.png').rename(files / 'right.png')
    assert main(arguments(files)) == 0
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and 'with left and right exchanged: exchange --left and --right' in error


@pytest.mark.slow
def test_raw_images_give_a_hint_to_rectify(files, motorcycle, capsys):
    distortion = (-0.25, 0.08, 0.001, -0.001, 0.0)
    for side, degrees in (('left', 0.6), ('right', -0.6)):
        calibration = getattr(motorcycle, f'{side}_calibration')
        k, turn = np.reshape(calibration.k, (3, 3)), cv2.Rodrigues(np.radians([degrees, 0.0, degrees]))[0]
        columns, rows = np.meshgrid(np.arange(741.0), np.arange(500.0))
        raw = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2)
        maps = cv2.undistortPoints(raw, k, np.array(distortion), R=turn, P=k).reshape(500, 741, 2).astype(np.float32)
        rgb = getattr(motorcycle, side)
        write_image_file(files / f'{side}.png', cv2.remap(rgb, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR))
        write_info(files / f'{side}.yaml', replace(calibration, d=distortion, r=tuple(turn.ravel().tolist())))
    assert main(arguments(files, '--json')) == 0
    raw = capsys.readouterr()
    assert 'after rectification: the images are raw, add --rectify' in raw.err
    assert main(arguments(files, '--json', '--rectify')) == 0
    rectified = capsys.readouterr()
    assert rectified.err == ''
    assert json.loads(rectified.out)['valid_fraction'] > 3 * json.loads(raw.out)['valid_fraction']


def test_a_bad_value_gives_the_range(files, capsys):
    assert main(arguments(files, '--range-min', '-1')) == 1
    assert 'range_min_m is -1.0; expected 0.01 to 1000 m' in capsys.readouterr().err


@pytest.mark.parametrize('command', [[], ['infer'], ['bench'], ['bench', 'stages'], ['bench', 'graph'], ['demo']])
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*command, '--help'])
    assert caught.value.code == 0
    assert 'usage: depth-ros' in capsys.readouterr().out


def test_a_network_for_the_simulator_estimates_files_and_repeats_its_caution(files, capsys):
    image = ['--image', str(files / 'left.png'), '--camera-info', str(files / 'left.yaml')]
    assert main(['infer', '--model', 'sim-indoor', *image, '--out', str(files / 'out')]) == 0
    assert 'warning: sim-indoor ' in capsys.readouterr().err
    assert (files / 'out/depth.npy').is_file()


def test_rows_that_do_not_match_give_a_hint_and_are_aligned_on_request(files, motorcycle, capsys):
    write_image_file(files / 'right.png', bent(motorcycle.right, 3.0))
    assert main(arguments(files)) == 0
    assert 'hint: the rows of the right image are off by 2.9' in capsys.readouterr().err
    assert main(arguments(files, '-p', 'align_rows:=true')) == 0
    assert capsys.readouterr().err == ''
    assert motorcycle.accuracy(np.load(files / 'out/depth.npy')).valid_fraction > 0.9
    write_image_file(files / 'right.png', np.zeros_like(motorcycle.right))
    assert main(arguments(files, '-p', 'align_rows:=true')) == 0
    assert 'warning: align_rows has no effect: 0 points of the scene could be tracked' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['prompt.png', 'prompt.npy'])
def test_a_measured_depth_from_a_file_is_an_input_of_the_network(tmp_path, capsys, name):
    measured = np.where(np.arange(16) < 8, 1.5, 3.0).astype(np.float32) * np.ones((12, 1), np.float32)
    measured[::2] = 0.0
    if name.endswith('.png'):
        write_image_file(tmp_path / name, (measured * 1000).astype(np.uint16))
    else:
        np.save(tmp_path / name, measured)
    write_image_file(tmp_path / 'image.png', np.full((48, 64, 3), 100, np.uint8))
    network, out = prompted_model(tmp_path / 'prompted'), ['--out', str(tmp_path / 'out')]
    command = ['infer', '--model', network, '--image', str(tmp_path / 'image.png'), '-p', 'filter.edges:=false', *out]
    assert main([*command, '--prompt', str(tmp_path / name)]) == 0
    depth_m = np.load(tmp_path / 'out' / 'depth.npy')
    np.testing.assert_allclose(depth_m[:, [0, 63]], [[1.5, 3.0]] * 48, rtol=1e-5)
    capsys.readouterr()
    assert main(command) == 1
    assert '--prompt to depth-ros infer' in capsys.readouterr().err
    command[2] = str(model(tmp_path / 'tiny'))
    assert main([*command, '--prompt', str(tmp_path / name)]) == 1
    assert 'takes no measured depth as an input' in capsys.readouterr().err
