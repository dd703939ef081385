"""`depth-ros models` and `depth-ros infer --model`, with real files."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml
from scenes import calibrations, write_info
from tiny_model import CANONICAL, MANIFEST, RELATIVE, STEREO, mean_of_channels, model

from depth_ros.cli.main import main
from depth_ros.files.image_files import write_image_file
from depth_ros.networks.models_page import page


def test_the_list_has_every_manifest(capsys):
    assert main(['models', 'list', '--json']) == 0
    rows = {row['id']: row for row in json.loads(capsys.readouterr().out)}
    assert rows['depth-anything-v2-small'] == {
        'id': 'depth-anything-v2-small', 'family': 'depth_anything', 'task': 'mono', 'metric': False,
        'needs': ['scale_shift'], 'runtime': 'onnxruntime', 'size_mb': 99.1, 'get': 'pull', 'licence': 'Apache-2.0',
        'commercial': 'yes', 'runnable': True, 'installed': False, 'verified': '',
        'published': '13.3 ms at 518x518 on an RTX 4080, ONNX Runtime CUDA (README of fabio-sim/Depth-Anything-ONNX)',
    }  # fmt: skip
    assert rows['nvidia-ess-4.1']['runnable'] is False
    found = {name: rows[name]['get'] for name in ('sim-indoor', 'depth-pro', 'psmnet-kitti15', 'unidepth-v1-large')}
    assert found == {
        'sim-indoor': 'included', 'depth-pro': 'export', 'psmnet-kitti15': 'by hand', 'unidepth-v1-large': 'none',
    }  # fmt: skip


def test_the_list_shows_for_each_model_how_to_get_it_size_licence_runtime_and_published_figures(capsys, monkeypatch):
    monkeypatch.setenv('DEPTH_ROS_CACHE', '/nowhere')
    assert main(['models', 'list']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:6] == ['id', 'task', 'depth', 'runtime', 'size', 'get']
    row = next(i for i, line in enumerate(lines) if line.startswith('fastdepth-nyu '))
    expected = ['fastdepth-nyu', 'mono', 'metric', 'litert', '1.7', 'MB', 'pull', 'no', 'yes', 'MIT']
    assert lines[row].split() == expected and 'RMSE 0.604 m, delta1 0.771' in lines[row + 1]
    row = next(i for i, line in enumerate(lines) if line.startswith('crestereo-combined '))
    assert lines[row].split()[1:6] == ['stereo', 'metric', 'onnxruntime', '-', 'pull'] and lines[row + 1].strip() == '-'


def test_the_page_of_models_states_which_were_run_with_published_weights():
    _, _, section = page().partition('## Run with published weights')
    assert section.splitlines()[4].startswith('| `fastdepth-nyu` | with the authors')
    assert 'No other model was run with its published weights' in section


def test_show_prints_the_source_and_the_path_of_a_file(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path))
    assert main(['models', 'show', 'metric3d-v2-small']) == 0
    text = capsys.readouterr().out
    assert 'onnx-community/metric3d-vit-small' in text and f'{tmp_path}/metric3d-v2-small/model.onnx' in text
    assert yaml.safe_load(text.split('\n#')[0])['decode']['canonical_focal'] == 1000.0


def test_check_compares_a_file_with_its_manifest(tmp_path, capsys):
    path = model(tmp_path)
    assert main(['models', 'check', str(path.with_suffix('.onnx'))]) == 0
    assert 'matches the manifest of tiny' in capsys.readouterr().out
    assert main(['models', 'check', str(path.with_suffix('.onnx')), '--manifest', 'depth-pro']) == 1
    assert 'the file does not match its manifest' in capsys.readouterr().err


def test_a_model_in_the_cache_is_found_by_its_id(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path))
    folder = tmp_path / 'midas-v2.1-small-release'
    folder.mkdir()
    mean_of_channels(folder / 'model-small.onnx')
    assert main(['models', 'list', '--json']) == 0
    rows = {row['id']: row for row in json.loads(capsys.readouterr().out)}
    assert rows['midas-v2.1-small-release']['installed']


@pytest.mark.parametrize('manifest', [MANIFEST, STEREO])
def test_bench_measures_a_network(tmp_path, capsys, manifest):
    path = model(tmp_path, manifest)
    assert main(['models', 'bench', str(path), '--repeat', '3', '--image-size', '128x96', '--json']) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures['image'] == '128x96' and 0 < figures['median_ms'] <= figures['p95_ms']


def infer(tmp_path, *more):
    return main(['infer', *map(str, more), '--out', str(tmp_path / 'out'), '--json'])


def test_one_image_gives_depth_and_with_a_calibration_points(tmp_path, capsys):
    path = model(tmp_path)
    write_image_file(tmp_path / 'a.png', np.full((48, 64, 3), 2, np.uint8))
    assert infer(tmp_path, '--model', path, '--image', tmp_path / 'a.png') == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures['median_m'] == pytest.approx(3.0) and 'not_metric' not in figures
    np.testing.assert_allclose(np.load(tmp_path / 'out/depth.npy'), 3.0, atol=1e-5)
    assert not (tmp_path / 'out/points.ply').exists()
    write_info(tmp_path / 'camera.yaml', calibrations(64, 48)[0])
    assert (
        infer(tmp_path, '--model', path, '--image', tmp_path / 'a.png', '--camera-info', tmp_path / 'camera.yaml') == 0
    )
    assert b'element vertex 3072' in (tmp_path / 'out/points.ply').read_bytes()[:300]


def test_relative_predictions_are_not_called_depth(tmp_path, capsys):
    path = model(tmp_path, RELATIVE)
    write_image_file(tmp_path / 'a.png', np.tile(np.arange(64, dtype=np.uint8), (48, 1)))
    assert infer(tmp_path, '--model', path, '--image', tmp_path / 'a.png') == 0
    assert 'scale and shift' in json.loads(capsys.readouterr().out)['not_metric']
    assert (tmp_path / 'out/relative.npy').exists() and not (tmp_path / 'out/depth.npy').exists()


def test_a_second_run_removes_the_results_of_the_first(tmp_path, capsys):
    write_image_file(tmp_path / 'a.png', np.tile(np.arange(64, dtype=np.uint8), (48, 1)))
    write_info(tmp_path / 'camera.yaml', calibrations(64, 48)[0])
    image, lens = ['--image', tmp_path / 'a.png'], ['--camera-info', tmp_path / 'camera.yaml']
    relative = {'relative.npy', 'relative_turbo.png'}
    metric = {'depth.npy', 'depth.png', 'depth_turbo.png'}
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/notes.txt').write_text('file of the user')
    for kind, more, expected in (
        (RELATIVE, [], relative),
        (MANIFEST, lens, {*metric, 'points.ply'}),
        (MANIFEST, [], metric),
        (RELATIVE, lens, relative),
    ):
        assert infer(tmp_path, '--model', model(tmp_path, kind), *image, *more) == 0
        assert {path.name for path in (tmp_path / 'out').iterdir()} == {*expected, 'notes.txt'}


def test_the_caution_of_the_manifest_and_a_missing_focal_length_are_printed(tmp_path, capsys):
    path = model(tmp_path, f'{CANONICAL}caution: for tests only\n')
    write_image_file(tmp_path / 'a.png', np.full((48, 64, 3), 2, np.uint8))
    write_info(tmp_path / 'camera.yaml', calibrations(64, 48)[0])
    assert infer(tmp_path, '--model', path, '--image', tmp_path / 'a.png') == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        'depth-ros: warning: for tests only',
        f'depth-ros: hint: {path} needs the focal length for metres: give --camera-info FILE',
    ]
    assert 'publish' not in json.loads(printed.out)['not_metric']
    assert (
        infer(tmp_path, '--model', path, '--image', tmp_path / 'a.png', '--camera-info', tmp_path / 'camera.yaml') == 0
    )
    assert capsys.readouterr().err == 'depth-ros: warning: for tests only\n'
    assert main(['doctor', '--offline', '-p', f'model:={path}']) == 0
    assert 'WARNING tiny: for tests only' in capsys.readouterr().out


def test_a_raw_calibration_of_one_camera_gives_a_hint_to_rectify(tmp_path, capsys):
    path = model(tmp_path)
    write_image_file(tmp_path / 'a.png', np.full((48, 64, 3), 2, np.uint8))
    write_info(tmp_path / 'camera.yaml', replace(calibrations(64, 48)[0], d=(-0.2, 0.1, 0.0, 0.0, 0.0)))
    image = ['--model', path, '--image', tmp_path / 'a.png', '--camera-info', tmp_path / 'camera.yaml']
    assert infer(tmp_path, *image) == 0
    assert 'camera.yaml has distortion but no rectification' in capsys.readouterr().err
    assert infer(tmp_path, *image, '--rectify') == 0
    assert capsys.readouterr().err == ''


def test_a_folder_and_a_video_give_a_folder_for_every_image(tmp_path, capsys):
    path = model(tmp_path)
    (tmp_path / 'images').mkdir()
    for i in range(3):
        write_image_file(tmp_path / f'images/p{i}.png', np.full((48, 64, 3), i, np.uint8))
    assert infer(tmp_path, '--model', path, '--image', tmp_path / 'images') == 0
    assert [np.load(tmp_path / f'out/p{i}/depth.npy')[0, 0].round(3) for i in range(3)] == [1.0, 2.0, 3.0]
    video = cv2.VideoWriter(str(tmp_path / 'v.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    for value in (10, 30):
        video.write(np.full((48, 64, 3), value, np.uint8))
    video.release()
    assert infer(tmp_path, '--model', path, '--image', tmp_path / 'v.avi') == 0
    assert abs(np.load(tmp_path / 'out/000001/depth.npy')[24, 32] - 31.0) < 3


def test_a_stereo_network_replaces_the_matcher(tmp_path, capsys):
    path = model(tmp_path, STEREO, plus=4.0)
    for side, calibration in zip(('left', 'right'), calibrations(64, 48), strict=True):
        write_image_file(tmp_path / f'{side}.png', np.zeros((48, 64), np.uint8))
        write_info(tmp_path / f'{side}.yaml', calibration)
    pair = [
        a
        for side in ('left', 'right')
        for a in (f'--{side}', tmp_path / f'{side}.png', f'--{side}-info', tmp_path / f'{side}.yaml')
    ]
    assert infer(tmp_path, '--model', path, *pair) == 0
    assert json.loads(capsys.readouterr().out)['median_m'] == pytest.approx(300 * 0.1 / 4.0, rel=1e-3)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'give --image (with --model), or --left, --right and --left-info'),
        (['--image', 'a.png', '--model', ''], "model is ''; expected the id of a network"),
        (['--image', 'a.png', '--model', 'nonsense'], "unknown model 'nonsense'; depth-ros models list prints all"),
        (['--image', 'a.png', '--model', 'depth-anything-v2-smal'], "did you mean 'depth-anything-v2-small'?"),
        (
            ['--image', 'a.png', '--model', 'depth-anything-v2-small'],
            'depth_anything_v2_s.onnx does not exist. Get it with: depth-ros models pull depth-anything-v2-small\n',
        ),
        (
            ['--image', 'a.png', '--model', 'depth-pro'],
            'Get it with: depth-ros models export depth-pro --weights apple/DepthPro-hf --out /cache/depth-pro/depth_pro',
        ),
        (
            ['--image', 'a.png', '--model', 'unidepth-v2-small'],
            'Get or export it (https://github.com/lpiccinelli-eth/UniDepth, python unidepth/models/unidepthv2/export.py',
        ),
    ],
)
def test_a_missing_option_or_model_is_reported_in_one_line(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.setenv('DEPTH_ROS_CACHE', '/cache')
    assert infer(tmp_path, *arguments) == 1
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def test_the_page_of_models_is_up_to_date():
    from pathlib import Path

    assert (Path(__file__).parents[2] / 'docs/models.md').read_text() == page()
