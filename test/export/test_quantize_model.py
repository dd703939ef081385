"""`depth-ros models quantize` with the simulator's network, on images and on recordings."""

import json
import sys

import cv2
import numpy as np
import onnx
import pytest
from bag_files import BagWriter, image, info, write_bag
from scenes import calibrations
from tiny_model import MANIFEST, RELATIVE, STEREO, model

from depth_ros.cli.main import main
from depth_ros.export.quantize_model import difference_to
from depth_ros.files.image_files import read_image_file, write_image_file
from depth_ros.files.install_command import install_command
from depth_ros.files.installed_files import shared_file
from depth_ros.networks.catalog import find_manifest, model_file

pytestmark = pytest.mark.filterwarnings('ignore')


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Return an empty cache folder."""
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


@pytest.fixture(scope='module')
def room(tmp_path_factory):
    """Return a folder of 12 views of a room."""
    folder = tmp_path_factory.mktemp('room')
    for i, view in enumerate(views(12)):
        write_image_file(folder / f'{i:02d}.png', view)
    return folder


def views(count):
    """Return views of the self-check image, (120, 160, 3), with different parts of it."""
    photo = read_image_file(shared_file('config/self_check.png'))
    photo = cv2.resize(photo if photo.ndim == 3 else cv2.cvtColor(photo, cv2.COLOR_GRAY2RGB), (240, 180))
    return [photo[2 * i : 2 * i + 120, 4 * i : 4 * i + 160] for i in range(count)]


def quantize(*arguments):
    return main(['models', 'quantize', *map(str, arguments)])


def test_a_quantised_network_is_reported_and_works_by_its_id(room, cache, tmp_path, capsys):
    assert quantize('sim-indoor', '--images', room, '--json') == 0
    report = json.loads(capsys.readouterr().out)
    assert report['id'] == 'sim-indoor-int8' and report['calibration_frames'] == 9 and report['held_out_frames'] == 3
    assert 0 < report['mean_difference'] <= report['largest_difference'] < 0.06
    assert report['size_mb'][1] < 0.5 * report['size_mb'][0] and min(report['median_ms']) > 0

    manifest, folder = find_manifest('sim-indoor-int8')
    original = find_manifest('sim-indoor')[0]
    assert folder == cache / 'sim-indoor-int8' and manifest.preprocess == original.preprocess
    assert f'sim-indoor (sha256 {original.artifact.sha256}), quantised by' in manifest.artifact.source
    assert manifest.artifact.source.endswith(f'with 9 frames of {room.name}') and manifest.simulator_only
    assert model_file(manifest, folder).name == 'sim-indoor-int8.onnx'
    assert sorted(path.name for path in cache.iterdir()) == ['sim-indoor-int8']

    first = sorted(room.iterdir())[0]
    depths = []
    for name in ('sim-indoor', 'sim-indoor-int8'):
        out = tmp_path / name
        parameters = ['-p', 'allow_simulator_model:=true', '--json']
        assert main(['infer', '--model', name, '--image', str(first), '--out', str(out), *parameters]) == 0
        depths.append(np.load(next(out.glob('*.npy'))))
    assert 0 < difference_to(*depths, affine=False) < 0.06


def test_a_quantised_network_is_in_the_list_of_models(room, capsys):
    assert quantize('sim-indoor', '--images', room) == 0
    assert 'parameter of the node: model: sim-indoor-int8' in capsys.readouterr().out
    assert main(['models', 'list', '--json']) == 0
    row = next(row for row in json.loads(capsys.readouterr().out) if row['id'] == 'sim-indoor-int8')
    assert row['installed'] and row['get'] == 'local' and 'on 3 held-out frames' in row['verified']


def test_a_difference_above_the_limit_is_refused_and_an_earlier_result_kept(room, cache, capsys):
    assert quantize('sim-indoor', '--images', room, '--limit', 0.00001) == 1
    printed = capsys.readouterr()
    assert 'mean difference' in printed.out and 'limit 0.00%' in printed.out
    assert 'sim-indoor-int8 was not stored: on the held-out frames it differs' in printed.err
    assert list(cache.iterdir()) == []
    assert quantize('sim-indoor', '--images', room) == 0
    before = (cache / 'sim-indoor-int8/sim-indoor-int8.yaml').read_text()
    assert quantize('sim-indoor', '--images', room, '--limit', 0.00001, '--frames', 8) == 1
    assert (cache / 'sim-indoor-int8/sim-indoor-int8.yaml').read_text() == before


def test_weights_have_seven_bits_and_the_last_convolution_is_in_floating_point(room, cache):
    assert quantize('sim-indoor', '--images', room) == 0
    graph = onnx.load(cache / 'sim-indoor-int8/sim-indoor-int8.onnx').graph
    integers = [
        onnx.numpy_helper.to_array(each) for each in graph.initializer if each.data_type == onnx.TensorProto.INT8
    ]
    weights = [each for each in integers if each.ndim == 4]
    assert weights and max(np.abs(each.astype(int)).max() for each in weights) <= 64
    source = {name: node for node in graph.node for name in node.output}
    last = [node for node in graph.node if node.op_type == 'Conv'][-1]
    assert source.get(last.input[1]) is None or source[last.input[1]].op_type != 'DequantizeLinear'


def test_frames_of_a_recording_are_prepared_as_in_the_node(tmp_path, cache, capsys):
    with BagWriter(tmp_path / 'bag') as bag:
        for i, view in enumerate(views(16)):
            stamp = 10**9 + i * 10**8
            bag.add('/front/camera_info', info(calibrations(160, 120)[0], stamp), stamp)
            bag.add('/front/rgb', image(view, stamp, 'rgb8'), stamp)
    topics = ['--namespace', '/front', '-r', 'image:=rgb']
    assert quantize('sim-indoor', '--bag', tmp_path / 'bag', *topics, '--frames', 8, '--json') == 0
    report = json.loads(capsys.readouterr().out)
    assert (report['calibration_frames'], report['held_out_frames']) == (6, 2)
    assert report['mean_difference'] < 0.05
    assert 'with 6 frames of bag' in find_manifest('sim-indoor-int8')[0].artifact.source


def test_a_stereo_network_is_quantised_with_the_pairs_of_a_recording(tmp_path, cache, capsys):
    path = model(tmp_path / 'model', STEREO, plus=4.0)
    bag = write_bag(tmp_path / 'bag', frames=8)
    assert quantize(path, '--bag', bag, '--json') == 0
    assert json.loads(capsys.readouterr().out)['id'] == 'tiny-int8'
    assert find_manifest('tiny-int8')[0].task == 'stereo'
    assert quantize(path, '--images', tmp_path) == 1
    assert 'tiny needs pairs of images, which a folder of images does not contain. Use --bag' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('count', 'message'),
    [(0, 'contains no images'), (5, 'has 5 usable frames; expected at least 8, of which a quarter is held out')],
)
def test_too_few_images_are_reported(tmp_path, capsys, count, message):
    (tmp_path / 'images').mkdir()
    for i in range(count):
        write_image_file(tmp_path / f'images/{i}.png', np.full((48, 64, 3), i, np.uint8))
    assert quantize('sim-indoor', '--images', tmp_path / 'images') == 1
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def test_a_recording_without_a_usable_frame_is_reported_with_the_reason(tmp_path, capsys):
    write_bag(tmp_path / 'bag', frames=3, infos=False)
    path = model(tmp_path / 'model', STEREO)
    assert quantize(path, '--bag', tmp_path / 'bag') == 1
    assert 'has no usable frame on /left/image_rect and /right/image_rect: no readable camera_info' in (
        capsys.readouterr().err
    )


def test_files_that_cannot_be_quantised_are_reported(room, tmp_path, cache, capsys):
    assert quantize('sim-indoor', '--images', room) == 0
    assert quantize('sim-indoor-int8', '--images', room) == 1
    assert 'sim-indoor-int8.onnx is already quantised (it contains DequantizeLinear, Qu' in capsys.readouterr().err

    lite = MANIFEST.replace('tiny.onnx', 'tiny.tflite') + 'runtime: {backends: [litert]}\n'
    (tmp_path / 'lite.yaml').write_text(lite)
    (tmp_path / 'tiny.tflite').write_bytes(b'')
    assert quantize(tmp_path / 'lite.yaml', '--images', room) == 1
    assert 'tiny is a model for litert; expected an ONNX model' in capsys.readouterr().err

    half = model(tmp_path / 'half', MANIFEST.replace('dynamic: true', 'precision: fp16'))
    assert quantize(half, '--images', room) == 1
    assert 'is in half precision; expected full precision' in capsys.readouterr().err


def test_a_missing_onnx_package_is_reported_with_the_extra(room, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnx', None)
    assert quantize('sim-indoor', '--images', room) == 1
    error = capsys.readouterr().err
    assert 'quantisation needs the onnx package (extra quantize; ' in error
    assert error.endswith(f': {install_command("quantize")}\n')


def test_differences_are_relative_to_each_value_or_to_the_range_of_affine_predictions():
    expected = np.linspace(1.0, 2.0, 101, dtype=np.float32).reshape(1, -1)
    assert difference_to(expected, 1.1 * expected, affine=False) == pytest.approx(0.1, rel=1e-4)
    assert difference_to(expected, expected + 0.09, affine=True) == pytest.approx(0.1, rel=1e-4)
    lost = np.where(expected < 1.495, np.nan, expected)
    assert difference_to(expected, lost, affine=False) == pytest.approx(50 / 101)
    sky = np.where(expected < 1.495, np.inf, expected)
    assert difference_to(sky, expected, affine=False) == 0.0
    assert np.isnan(difference_to(np.full_like(expected, np.nan), expected, affine=False))


def test_a_relative_network_is_compared_by_the_range_of_its_values(room, tmp_path, capsys):
    path = model(tmp_path / 'model', RELATIVE)
    assert quantize(path, '--images', room, '--json') == 0
    assert json.loads(capsys.readouterr().out)['mean_difference'] < 0.05
