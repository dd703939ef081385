"""Every layout, written as its benchmark has it, read and evaluated with a network whose answer is known."""

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
from depth_ros.evaluation.datasets.find import find_dataset

HEIGHT, WIDTH = 48, 64
GREY = np.full((HEIGHT, WIDTH), 9, np.uint8)
GREY[:, WIDTH // 2 :] = 4
DEPTH = GREY.astype(np.float32) + 1  # what the small network sees


def png16(path, values, units):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.round(np.nan_to_num(values) * units).astype(np.uint16))


def picture(path, pixels=GREY):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


def folder(root):
    for i in range(3):
        picture(root / f'image/{i}.png')
        png16(root / f'depth/{i}.png', DEPTH, 1000)
    picture(root / 'image/alone.png')
    write_info(root / 'camera_info.yaml', calibrations(WIDTH, HEIGHT)[0])
    return root, 3


def folder_of_arrays(root):
    picture(root / 'rgb/a.png')
    (root / 'depth').mkdir()
    np.save(root / 'depth/a.npy', DEPTH)
    return root, 1


def kitti_depth(root):
    for name in ('2011_x_sync_{}_0000000005_image_02', '2011_x_sync_{}_0000000008_image_03'):
        picture(root / f'image/{name.format("image")}.png')
        png16(root / f'groundtruth_depth/{name.format("groundtruth_depth")}.png', DEPTH, 256)
        (root / 'intrinsics').mkdir(exist_ok=True)
        (root / f'intrinsics/{name.format("image")}.txt').write_text('60 0 32 0 60 24 0 0 1')
    return root, 2


def tum(root):
    rows = ['# color images', '# timestamp filename']
    large = cv2.resize(GREY, (640, 480), interpolation=cv2.INTER_NEAREST)
    for i in range(2):
        picture(root / f'rgb/{i}.png', large)
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
def test_a_network_that_is_right_has_no_error_on_any_layout_of_single_pictures(tmp_path, capsys, make):
    (tmp_path / 'data').mkdir() if make is not bag else None
    path, count = make(tmp_path / 'data')
    network = model(tmp_path / 'tiny')
    arguments = ['eval', str(path), '--model', str(network), '-p', 'filter.edges:=false', '--namespace', '/cam']
    assert main([*arguments, '--out', str(tmp_path / 'out')]) == 0, capsys.readouterr()
    report = json.loads((tmp_path / 'out/report.json').read_text())
    assert len(report['frames']) == count and not report['failed'] and report['node'] == 'mono_depth'
    assert report['figures']['valid_share'] == 1 and report['figures']['delta1'] > 0.9
    assert report['figures']['abs_rel'] < 0.1  # where the network's resize smears the edge
    assert {each['from_m'] for each in report['by_distance']} == {4.0, 10.0}
    said = capsys.readouterr().out
    assert f'{count} frames evaluated, 0 failed' in said
    if make is folder:
        assert 'note: 1 of image/ have no file in depth/' in said
    if make is tum:
        assert 'note: 1 pictures have no depth within 20 ms' in said


def write_pfm(path, values):
    cv2.imwrite(str(path), values)


def middlebury(root):
    left, right = pair(np.full((96, 160), 8.0, np.float32))
    scene = root / 'Wall'
    for i, pixels in enumerate((left, right)):
        picture(scene / f'im{i}.png', pixels)
    k = '[300 0 80; 0 300 48; 0 0 1]'
    (scene / 'calib.txt').write_text(f'cam0={k}\ncam1={k}\ndoffs=0\nbaseline=100\nwidth=160\nheight=96\nndisp=32\n')
    truth = np.full((96, 160), 8.0, np.float32)
    truth[:, :40] = np.inf  # Middlebury's unknown
    write_pfm(scene / 'disp0GT.pfm', truth)
    mask = np.full((96, 160), 255, np.uint8)
    mask[:, 40:60] = 128
    picture(scene / 'mask0nocc.png', mask)
    return root


def kitti_stereo(root):
    left, right = pair(np.full((96, 160), 8.0, np.float32))
    training = root / 'training'
    picture(training / 'image_2/000000_10.png', left)
    picture(training / 'image_3/000000_10.png', right)
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
    picture(root / 'left/a.png', left)
    picture(root / 'right/a.png', right)
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


def test_a_relative_model_is_refused_without_alignment_and_right_with_it(tmp_path, capsys):
    (tmp_path / 'data').mkdir()
    ramp = np.broadcast_to(np.arange(WIDTH, dtype=np.uint8) * 3, (HEIGHT, WIDTH))
    picture(tmp_path / 'data/image/a.png', ramp)
    (tmp_path / 'data/depth').mkdir()
    np.save(tmp_path / 'data/depth/a.npy', 1 / (0.002 * (ramp.astype(np.float32) + 1) + 0.1))
    network = model(tmp_path / 'rel', RELATIVE)
    arguments = ['eval', str(tmp_path / 'data'), '--model', str(network), '-p', 'filter.edges:=false']
    assert main([*arguments, '--out', str(tmp_path / 'none')]) == 1
    assert '--align median or affine' in capsys.readouterr().err
    abs_rel = {}
    for align in ('median', 'affine'):
        assert main([*arguments, '--align', align, '--out', str(tmp_path / align)]) == 0
        abs_rel[align] = json.loads((tmp_path / align / 'report.json').read_text())['figures']['abs_rel']
    assert abs_rel['affine'] < 0.005 < 0.1 < abs_rel['median']


def test_the_simulator_is_a_dataset_for_both_nodes(tmp_path):
    for more in (['--model', 'sim-indoor'], []):
        out = tmp_path / str(len(more))
        assert main(['eval', 'sim:1:2', '--out', str(out), *more]) == 0
        report = json.loads((out / 'report.json').read_text())
        assert len(report['frames']) == 2 and report['figures']['abs_rel'] < 0.1
        assert ('epe_px' in report['figures']) == (not more)


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (lambda root: (root / 'depth/1.png').write_bytes(b'no picture'), '1: .* cannot be read as depth'),
        (lambda root: (root / 'image/1.png').write_bytes(b''), '1: .*1.png'),
        (lambda root: png16(root / 'depth/1.png', DEPTH[:20], 1000), '1: the image is 64x48 and the truth 64x20'),
        (lambda root: picture(root / 'depth/1.png', np.zeros((HEIGHT, WIDTH, 3), np.uint8)), 'one channel'),
    ],
)
def test_a_frame_that_is_of_no_use_costs_only_itself(tmp_path, capsys, spoil, words):
    root, _ = folder(tmp_path / 'data')
    spoil(root)
    network = model(tmp_path / 'tiny')
    assert main(['eval', str(root), '--model', str(network), '--out', str(tmp_path / 'out')]) == 0
    report = json.loads((tmp_path / 'out/report.json').read_text())
    assert len(report['frames']) == 2 and list(report['failed']) == ['1']
    said = capsys.readouterr().out
    assert re.search(words, said)


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (lambda root: root, 'does not exist'),
        (lambda root: root.mkdir(), 'no dataset whose layout is known; expected one of'),
        (lambda root: [(root / name).mkdir(parents=True) for name in ('image', 'depth')], 'it is empty'),
        (lambda root: picture(root / 'image/a.png') or (root / 'depth').mkdir(), '1 of image/ have no file in depth/'),
    ],
)
def test_what_is_no_dataset_is_said_in_words(tmp_path, make, words):
    make(tmp_path / 'data')
    with pytest.raises(BadFile, match=words):
        find_dataset(str(tmp_path / 'data'), stereo=False)


def test_a_bag_without_truth_and_a_report_that_cannot_be_written_are_one_line(tmp_path, capsys):
    source = write_bag(tmp_path / 'in')
    (tmp_path / 'file').write_text('')
    for arguments, words in (
        ([str(source)], 'has no topic /truth/depth'),
        (['sim:1:1', '--out', str(tmp_path / 'file')], 'is a file; expected a folder'),
        (['sim:x'], "'sim:x'; expected sim:SEED"),
    ):
        assert main(['eval', *arguments]) == 1
        error = capsys.readouterr().err
        assert words in error and error.count('\n') == 1
