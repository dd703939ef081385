"""Every dataset layout, written as documented, and evaluated with a network whose output is known."""

import json
import re

import cv2
import h5py
import numpy as np
import pytest
from bag_files import BagWriter, depth_message, image, info, read, write_bag
from scenes import calibrations, pair, write_info
from tiny_model import RELATIVE, model

from depth_ros.cli.main import main
from depth_ros.errors import BadFile
from depth_ros.evaluation.comparable_settings import comparable_settings, effective_parameters
from depth_ros.evaluation.datasets.find_dataset import find_dataset
from depth_ros.evaluation.datasets.sample import read_array
from depth_ros.files.pfm_file import read_pfm
from depth_ros.settings.node_settings import MonoSettings, StereoSettings

HEIGHT, WIDTH = 48, 64
GREY = np.full((HEIGHT, WIDTH), 9, np.uint8)
GREY[:, WIDTH // 2 :] = 4
DEPTH = GREY.astype(np.float32) + 1  # output of the small network


def png16(path, values, units):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.round(np.nan_to_num(values) * units).astype(np.uint16))


def write_image(path, pixels=GREY):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


def folder(root):
    for i in range(3):
        write_image(root / f'image/{i}.png')
        png16(root / f'depth/{i}.png', DEPTH, 1000)
    write_image(root / 'image/alone.png')
    write_info(root / 'camera_info.yaml', calibrations(WIDTH, HEIGHT)[0])
    return root, 3


def folder_of_arrays(root):
    write_image(root / 'rgb/a.png')
    (root / 'depth').mkdir()
    np.save(root / 'depth/a.npy', DEPTH)
    return root, 1


def kitti_depth(root):
    for name in ('2011_x_sync_{}_0000000005_image_02', '2011_x_sync_{}_0000000008_image_03'):
        write_image(root / f'image/{name.format("image")}.png')
        png16(root / f'groundtruth_depth/{name.format("groundtruth_depth")}.png', DEPTH, 256)
        (root / 'intrinsics').mkdir(exist_ok=True)
        (root / f'intrinsics/{name.format("image")}.txt').write_text('60 0 32 0 60 24 0 0 1')
    return root, 2


def tum(root):
    rows = ['# color images', '# timestamp filename']
    large = cv2.resize(GREY, (640, 480), interpolation=cv2.INTER_NEAREST)
    for i in range(2):
        write_image(root / f'rgb/{i}.png', large)
        png16(root / f'depth/{i}.png', large.astype(np.float32) + 1, 5000)
    (root / 'rgb.txt').write_text('\n'.join([*rows, '1.00 rgb/0.png', '1.10 rgb/1.png', '9.0 rgb/1.png']))
    (root / 'depth.txt').write_text('\n'.join([*rows, '1.015 depth/0.png', '1.095 depth/1.png']))
    return root, 2


def nyu(root):
    root.mkdir(exist_ok=True)
    grey = cv2.resize(GREY, (640, 480), interpolation=cv2.INTER_NEAREST)
    depth = grey.astype(np.float32) + 1
    depth[:45] = 77  # outside of the crop
    with h5py.File(root / 'nyu_depth_v2_labeled.mat', 'w') as file:
        file['images'] = np.stack([np.repeat(grey.T[None], 3, axis=0)] * 2)
        file['depths'] = np.stack([depth.T] * 2)
    return root / 'nyu_depth_v2_labeled.mat', 2


def bag(root):
    with BagWriter(root) as writer:
        for i in range(3):
            stamp = 10**9 + i * 10**8
            writer.add('/cam/image', image(GREY, stamp), stamp)
            writer.add('/cam/camera_info', info(calibrations(WIDTH, HEIGHT)[0], stamp), stamp)
            if i < 2:
                writer.add('/cam/truth/depth', depth_message(DEPTH, stamp), stamp + 5)
    return root, 2


@pytest.mark.parametrize('make', [folder, folder_of_arrays, kitti_depth, tum, nyu, bag])
def test_a_correct_network_has_no_error_on_any_layout_of_single_images(tmp_path, capsys, make):
    (tmp_path / 'data').mkdir() if make is not bag else None
    path, count = make(tmp_path / 'data')
    network = model(tmp_path / 'tiny')
    arguments = ['eval', str(path), '--model', str(network), '--namespace', '/cam']
    assert main([*arguments, '--out', str(tmp_path / 'out')]) == 0, capsys.readouterr()
    report = json.loads((tmp_path / 'out/report.json').read_text())
    assert len(report['frames']) == count and not report['failed'] and report['node'] == 'mono_depth'
    assert report['figures']['valid_share'] == 1 and report['figures']['delta1'] > 0.9
    assert report['figures']['abs_rel'] < 0.1  # the network resizes the image, which blurs the edge
    assert {each['from_m'] for each in report['by_distance']} == {4.0, 10.0}
    output = capsys.readouterr().out
    assert f'{count} frames evaluated, 0 failed' in output
    if make is folder:
        assert 'note: 1 files of image/ have no match in depth/' in output
    if make is tum:
        assert 'note: 1 images have no depth within 20 ms' in output


def write_pfm(path, values, header='Pf\n{width} {height}\n-0.003922\n'):
    """Write a PFM as published by Middlebury: the scale in the header does not apply to the values."""
    height, width = values.shape
    order = '>f4' if '\n0' in header or '\n1' in header else '<f4'
    path.write_bytes(header.format(width=width, height=height).encode() + values[::-1].astype(order).tobytes())


@pytest.mark.parametrize(
    'header',
    [
        'Pf\n{width} {height}\n-0.003922\n',
        'Pf \n{width} {height} \n-1.0 \n',
        'Pf\r\n{width} {height}\r\n-1\r\n',
        'Pf\n{width}\n{height}\n-1e0\n',
        'Pf\n{width} {height}\n0.003922\n',
        'Pf\n{width} {height}\n1.000000\n',
    ],
)
def test_values_of_a_pfm_do_not_depend_on_the_scale_and_line_ends_of_its_header(tmp_path, header):
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    values[0, 0] = np.inf
    write_pfm(tmp_path / 'a.pfm', values, header)
    np.testing.assert_array_equal(read_array(tmp_path / 'a.pfm'), values)


def test_a_colour_pfm_can_be_read_but_not_as_depth(tmp_path):
    values = np.arange(24, dtype='<f4').reshape(2, 4, 3)
    (tmp_path / 'a.pfm').write_bytes(b'PF\n4 2\n-1\n' + values[::-1].tobytes())
    np.testing.assert_array_equal(read_pfm(tmp_path / 'a.pfm'), values)
    with pytest.raises(BadFile, match='expected one channel'):
        read_array(tmp_path / 'a.pfm')


@pytest.mark.parametrize(
    ('content', 'text'),
    [
        (b'Pf\n4 3\n-1\n' + bytes(47), '47 bytes of data; expected 48 for 4x3'),
        (b'Pf\n4 0\n-1\n', 'expected 0 for 4x0'),
        (b'P5\n4 3\n255\n' + bytes(12), 'expected the header of a PFM'),
        (b'Pf\n4 3\n', 'expected the header of a PFM'),
        (b'', 'expected the header of a PFM'),
    ],
)
def test_an_invalid_pfm_gives_one_clear_error(tmp_path, content, text):
    (tmp_path / 'a.pfm').write_bytes(content)
    with pytest.raises(BadFile, match=text):
        read_array(tmp_path / 'a.pfm')
    with pytest.raises(BadFile, match='cannot be read'):
        read_pfm(tmp_path / 'nothing.pfm')


def middlebury(root):
    left, right = pair(np.full((96, 160), 8.0, np.float32))
    scene = root / 'Wall'
    for i, pixels in enumerate((left, right)):
        write_image(scene / f'im{i}.png', pixels)
    k = '[300 0 80; 0 300 48; 0 0 1]'
    (scene / 'calib.txt').write_text(f'cam0={k}\ncam1={k}\ndoffs=0\nbaseline=100\nwidth=160\nheight=96\nndisp=32\n')
    truth = np.full((96, 160), 8.0, np.float32)
    truth[:, :40] = np.inf  # unknown in Middlebury
    write_pfm(scene / 'disp0GT.pfm', truth)
    mask = np.full((96, 160), 255, np.uint8)
    mask[:, 40:60] = 128
    write_image(scene / 'mask0nocc.png', mask)
    return root


def kitti_stereo(root):
    left, right = pair(np.full((96, 160), 8.0, np.float32))
    training = root / 'training'
    write_image(training / 'image_2/000000_10.png', left)
    write_image(training / 'image_3/000000_10.png', right)
    truth = np.full((96, 160), 8.0, np.float32)
    truth[:, :60] = 0
    png16(training / 'disp_occ_0/000000_10.png', truth, 256)
    (training / 'calib_cam_to_cam').mkdir()
    rows = {'P_rect_02': '300 0 80 18 0 300 48 0 0 0 1 0', 'P_rect_03': '300 0 80 -12 0 300 48 0 0 0 1 0'}
    text = '\n'.join(f'{key}: {value}' for key, value in rows.items())
    (training / 'calib_cam_to_cam/000000.txt').write_text(f'calib_time: 09-Jan-2012\n{text}\n')
    return root


def stereo_folder(root):
    left, right = pair(np.full((96, 160), 8.0, np.float32))
    write_image(root / 'left/a.png', left)
    write_image(root / 'right/a.png', right)
    truth = np.full((96, 160), 300 * 0.1 / 8, np.float32)
    truth[:, :60] = np.nan
    (root / 'depth').mkdir()
    np.save(root / 'depth/a.npy', truth)
    for side, calibration in zip(('left', 'right'), calibrations(160, 96), strict=True):
        write_info(root / f'{side}.yaml', calibration)
    return root


def stereo_bag(root):
    write_bag(root / 'in', frames=2)
    with BagWriter(root / 'bag') as writer:
        for topic, messages in read(root / 'in').items():
            for recorded, _, message in messages:
                writer.add(topic, message, recorded)
        for i in range(2):
            stamp = 10**9 + i * 10**8
            truth = np.full((64, 96), 300 * 0.1 / 8, np.float32)
            truth[:, :30] = np.nan
            writer.add('/truth/depth', depth_message(truth, stamp), stamp + 9)
    return root / 'bag'


@pytest.mark.parametrize('make', [middlebury, kitti_stereo, stereo_folder, stereo_bag])
def test_pairs_of_every_layout_are_measured_in_metres_and_in_pixels(tmp_path, make):
    (tmp_path / 'data').mkdir()
    path = make(tmp_path / 'data')
    arguments = ['eval', str(path), '-p', 'range_min_m:=1.5', '--out', str(tmp_path / 'out')]
    assert main(arguments) == 0
    figures = json.loads((tmp_path / 'out/report.json').read_text())['figures']
    assert figures['epe_px'] < 0.2 and figures['bad1'] < 0.02 and figures['valid_share'] > 0.9
    assert figures['abs_rel'] < 0.02


def test_a_relative_model_requires_alignment(tmp_path, capsys):
    (tmp_path / 'data').mkdir()
    ramp = np.broadcast_to(np.arange(WIDTH, dtype=np.uint8) * 3, (HEIGHT, WIDTH))
    write_image(tmp_path / 'data/image/a.png', ramp)
    (tmp_path / 'data/depth').mkdir()
    np.save(tmp_path / 'data/depth/a.npy', 1 / (0.002 * (ramp.astype(np.float32) + 1) + 0.1))
    network = model(tmp_path / 'rel', RELATIVE)
    arguments = ['eval', str(tmp_path / 'data'), '--model', str(network)]
    assert main([*arguments, '--out', str(tmp_path / 'none')]) == 1
    assert '--align median or affine' in capsys.readouterr().err
    abs_rel = {}
    for align in ('median', 'affine'):
        assert main([*arguments, '--align', align, '--out', str(tmp_path / align)]) == 0
        abs_rel[align] = json.loads((tmp_path / align / 'report.json').read_text())['figures']['abs_rel']
    assert abs_rel['affine'] < 0.005 < 0.1 < abs_rel['median']


@pytest.mark.slow
def test_the_simulator_is_a_dataset_for_both_nodes(tmp_path):
    for more in (['--model', 'sim-indoor'], []):
        out = tmp_path / str(len(more))
        assert main(['eval', 'sim:1:2', '--out', str(out), *more]) == 0
        report = json.loads((out / 'report.json').read_text())
        assert len(report['frames']) == 2 and report['figures']['abs_rel'] < 0.1
        assert ('epe_px' in report['figures']) == (not more)


@pytest.mark.parametrize(
    ('damage', 'text'),
    [
        (lambda root: (root / 'depth/1.png').write_bytes(b'no image'), '1: .* cannot be read as depth'),
        (lambda root: (root / 'image/1.png').write_bytes(b''), '1: .*1.png'),
        (lambda root: png16(root / 'depth/1.png', DEPTH[:20], 1000), '1: the image is 64x48 and the truth 64x20'),
        (lambda root: write_image(root / 'depth/1.png', np.zeros((HEIGHT, WIDTH, 3), np.uint8)), 'one channel'),
    ],
)
def test_an_unusable_frame_does_not_affect_the_others(tmp_path, capsys, damage, text):
    root, _ = folder(tmp_path / 'data')
    damage(root)
    network = model(tmp_path / 'tiny')
    assert main(['eval', str(root), '--model', str(network), '--out', str(tmp_path / 'out')]) == 0
    report = json.loads((tmp_path / 'out/report.json').read_text())
    assert len(report['frames']) == 2 and list(report['failed']) == ['1']
    output = capsys.readouterr().out
    assert re.search(text, output)


@pytest.mark.parametrize(
    ('make', 'text'),
    [
        (lambda root: root, 'does not exist'),
        (lambda root: root.mkdir(), 'has no supported dataset layout; expected one of'),
        (lambda root: [(root / name).mkdir(parents=True) for name in ('image', 'depth')], 'it is empty'),
        (
            lambda root: write_image(root / 'image/a.png') or (root / 'depth').mkdir(),
            '1 files of image/ have no match in depth/',
        ),
    ],
)
def test_a_path_that_is_no_dataset_is_an_error(tmp_path, make, text):
    make(tmp_path / 'data')
    with pytest.raises(BadFile, match=text):
        find_dataset(str(tmp_path / 'data'), stereo=False)


def test_a_bag_without_truth_and_an_invalid_report_folder_give_one_line(tmp_path, capsys):
    source = write_bag(tmp_path / 'in')
    (tmp_path / 'file').write_text('')
    for arguments, text in (
        ([str(source)], 'has no topic /truth/depth'),
        (['sim:1:1', '--out', str(tmp_path / 'file')], 'is a file; expected a folder'),
        (['sim:x'], "'sim:x'; expected sim:SEED"),
    ):
        assert main(['eval', *arguments]) == 1
        error = capsys.readouterr().err
        assert text in error and error.count('\n') == 1


def figures_of(tmp_path, capsys, *arguments):
    """Evaluate; return the figures, the settings of the report, and what was printed."""
    assert main(['eval', *map(str, arguments), '--out', str(tmp_path / 'out')]) == 0
    report = json.loads((tmp_path / 'out/report.json').read_text())
    return report['figures'], report['settings'], capsys.readouterr().out


def test_an_evaluation_counts_every_pixel_unless_filters_and_range_limits_are_given(tmp_path, capsys):
    """Test a checkerboard, which has edges everywhere and is half beyond the default range of a node."""
    (tmp_path / 'data/depth').mkdir(parents=True)
    board = np.where(np.indices((HEIGHT, WIDTH)).sum(axis=0) // 4 % 2, 4, 90).astype(np.uint8)
    write_image(tmp_path / 'data/image/a.png', board)
    np.save(tmp_path / 'data/depth/a.npy', board.astype(np.float32) + 1)
    network = model(tmp_path / 'tiny')
    plain, settings, output = figures_of(tmp_path, capsys, tmp_path / 'data', '--model', network)
    assert plain['valid_share'] == 1
    assert settings['range_min_m'] == settings['range_max_m'] == 'none' and 'filter.edges' not in settings
    assert f'settings: model {network}, device auto, range_min_m none, range_max_m none\n' in output
    page = (tmp_path / 'out/report.html').read_text()
    assert 'range_max_m none' in page
    given = ['-p', 'filter.edges:=true', '-p', 'range_max_m:=40.0']
    cut, settings, output = figures_of(tmp_path, capsys, tmp_path / 'data', '--model', network, *given)
    assert cut['valid_share'] < 0.6
    assert settings['filter.edges'] is True and settings['range_max_m'] == 40.0
    assert 'range_max_m 40.0, filter.edges true' in output


def test_a_wall_beyond_40_m_counts_for_pairs_and_parameters_of_a_file_are_given(tmp_path, capsys):
    root = stereo_folder(tmp_path / 'data')
    for side, calibration in zip(('left', 'right'), calibrations(160, 96, baseline_m=2.0), strict=True):
        write_info(root / f'{side}.yaml', calibration)
    truth = np.full((96, 160), 300 * 2.0 / 8, np.float32)
    truth[:, :60] = np.nan
    np.save(root / 'depth/a.npy', truth)
    search = ['-p', 'range_min_m:=20.0']
    far, settings, _ = figures_of(tmp_path, capsys, root, *search)
    assert far['valid_share'] > 0.9 and far['d1_all'] < 0.1
    assert settings == {'quality': 'balanced', 'range_min_m': 20.0, 'range_max_m': 'none'}
    (tmp_path / 'node.yaml').write_text('/**: {ros__parameters: {range_max_m: 40.0, filter: {speckle_px: 5}}}')
    cut, settings, _ = figures_of(tmp_path, capsys, root, *search, '--params', tmp_path / 'node.yaml')
    assert cut['valid_share'] == 0 and settings['range_max_m'] == 40.0 and settings['filter.speckle_px'] == 5


def test_a_network_for_pairs_and_a_given_search_range_leave_no_range_limit():
    off = comparable_settings(StereoSettings(max_disparity=64), {'max_disparity'})
    assert effective_parameters(off) == {
        'quality': 'balanced',
        'max_disparity': 64,
        'range_min_m': 'none',
        'range_max_m': 'none',
    }
    network = comparable_settings(StereoSettings(model='x', filter_temporal=True, max_skew_ms=9.0), {'model'})
    assert effective_parameters(network) == {
        'model': 'x', 'device': 'auto', 'range_min_m': 'none', 'range_max_m': 'none',
    }  # fmt: skip
    fixed = comparable_settings(MonoSettings(model='x', scale_source='fixed', scale_fixed_scale=3.0), {'scale.source'})
    assert effective_parameters(fixed)['scale.fixed_scale'] == 3.0 and not fixed.filter_edges


def test_a_recording_with_other_topic_names_is_evaluated_with_remappings(tmp_path):
    bag(tmp_path / 'data')
    network = model(tmp_path / 'tiny')
    arguments = ['eval', str(tmp_path / 'data'), '--model', str(network), '--out', str(tmp_path / 'out')]
    remaps = ['-r', 'image:=/cam/image', '-r', '/camera_info:=cam/camera_info', '-r', 'truth/depth:=/cam/truth/depth']
    assert main([*arguments, *remaps]) == 0
    assert json.loads((tmp_path / 'out/report.json').read_text())['figures']['valid_share'] == 1
