"""Sequences with poses, and the benchmark of multi-view depth."""

import json

import cv2
import numpy as np
import pytest
from posed_planes import CAMERA, Rectangle, view_of

from depth_ros.cli.main import main
from depth_ros.errors import BadFile
from depth_ros.evaluation.datasets.posed_sequence import PosedFrame, PosedSequence, find_sequence
from depth_ros.evaluation.datasets.simulated_motion import OdometryNoise, simulated_sequence
from depth_ros.evaluation.multiview_benchmark import (
    RECORDED_TARGET,
    MultiviewFigures,
    frame_figures,
    mean_figures,
    measure_sequence,
)
from depth_ros.multiview.plane_sweep import PlaneSweep

SCENE = (Rectangle(3.0), Rectangle(1.5, x=(-0.2, 0.5), y=(-0.3, 0.4), seed=1))
QUATERNION = '0 0 0 1'


@pytest.fixture(scope='module')
def walk():
    """Return views and depths of a camera that moves to the right."""
    return [view_of(SCENE, x=0.1 * i) for i in range(7)]


def write_named_poses(root, walk):
    (root / 'images').mkdir()
    (root / 'depth').mkdir()
    lines = []
    for index, (view, depth) in enumerate(walk):
        cv2.imwrite(str(root / 'images' / f'{index:05d}.png'), view.image)
        cv2.imwrite(str(root / 'depth' / f'{index:05d}.png'), np.rint(1000 * depth).astype(np.uint16))
        lines.append(' '.join([f'{index:05d}', *map(str, view.pose.ravel())]))
    (root / 'poses.txt').write_text('\n'.join(lines))
    np.savetxt(root / 'K.txt', [[CAMERA.fx, 0, CAMERA.cx], [0, CAMERA.fy, CAMERA.cy], [0, 0, 1]])


def write_scannet(root, walk):
    for folder in ('color', 'depth', 'pose', 'intrinsic'):
        (root / folder).mkdir()
    for index, (view, depth) in enumerate(walk):
        cv2.imwrite(str(root / 'color' / f'{index}.png'), view.image)
        small = np.rint(1000 * depth[::2, ::2]).astype(np.uint16)
        cv2.imwrite(str(root / 'depth' / f'{index}.png'), small)
        np.savetxt(root / 'pose' / f'{index}.txt', view.pose if index != 3 else np.full((4, 4), -np.inf))
    k = np.eye(4)
    k[:3, :3] = [[CAMERA.fx, 0, CAMERA.cx], [0, CAMERA.fy, CAMERA.cy], [0, 0, 1]]
    np.savetxt(root / 'intrinsic' / 'intrinsic_color.txt', k)


def write_tum(root, walk):
    (root / 'rgb').mkdir()
    (root / 'depth').mkdir()
    lists = {'rgb': [], 'depth': [], 'groundtruth': ['# timestamp tx ty tz qx qy qz qw']}
    for index, (view, depth) in enumerate(walk):
        stamp = f'{100 + 0.1 * index:.4f}'
        cv2.imwrite(str(root / 'rgb' / f'{stamp}.png'), view.image)
        cv2.imwrite(str(root / 'depth' / f'{stamp}.png'), np.rint(5000 * depth).astype(np.uint16))
        for name in ('rgb', 'depth'):
            lists[name].append(f'{stamp} {name}/{stamp}.png')
        x, y, z = view.pose[:3, 3]
        lists['groundtruth'].append(f'{100.005 + 0.1 * index:.4f} {x} {y} {z} {QUATERNION}')
    for name, lines in lists.items():
        (root / f'{name}.txt').write_text('\n'.join(lines))


@pytest.mark.parametrize(
    ('write', 'count', 'principal_x'),
    [(write_named_poses, 7, CAMERA.cx), (write_scannet, 6, CAMERA.cx), (write_tum, 7, 319.5)],
    ids=['poses.txt', 'ScanNet', 'TUM'],
)
def test_sequences_with_poses_are_read(write, count, principal_x, walk, tmp_path):
    write(tmp_path, walk)
    sequence = find_sequence(tmp_path)
    frames = [load() for load in sequence.frames]
    assert sequence.count == len(frames) == count  # ScanNet: a lost pose is left out
    for frame, index in ((frames[2], 2), (frames[-1], 6)):
        assert frame.view.pose == pytest.approx(walk[index][0].pose, abs=1e-6)
        assert frame.truth_m.shape == (120, 160)
        assert np.median(np.abs(frame.truth_m - walk[index][1])) < 0.002
        assert frame.view.camera.cx == pytest.approx(principal_x)


def test_a_folder_without_poses_names_the_layouts(tmp_path):
    with pytest.raises(BadFile, match='ScanNet'):
        find_sequence(tmp_path)
    (tmp_path / 'poses.txt').write_text('00003 1 2 3')
    np.savetxt(tmp_path / 'K.txt', np.eye(3))
    with pytest.raises(BadFile, match='16 numbers'):
        find_sequence(tmp_path)


def test_the_estimator_reaches_the_target_on_exact_views(walk):
    loaders = [lambda each=each, i=i: PosedFrame(str(i), *each) for i, each in enumerate(walk)]
    figures = measure_sequence(PosedSequence('walk', loaders, len(walk)), PlaneSweep(), warm_up=3)
    assert len(figures) == 4
    assert not RECORDED_TARGET.missed(mean_figures(figures))


def test_figures_count_moving_objects_apart(walk):
    view, truth = walk[0]
    moving = truth < 2
    depth = np.where(moving, 2 * truth, 1.05 * truth).astype(np.float32)
    depth[:, :80] = np.nan
    figures = frame_figures(depth, PosedFrame('0', view, truth, moving))
    assert figures.coverage == pytest.approx((~moving[:, 80:]).sum() / (~moving).sum())
    assert figures.abs_rel == pytest.approx(0.05, abs=1e-4)
    assert figures.scale == pytest.approx(1.05, abs=1e-4)
    assert figures.off == 0
    assert figures.moving_off == pytest.approx(moving[:, 80:].sum() / moving.sum())


def test_a_frame_without_depth_counts_as_no_coverage():
    means = mean_figures([MultiviewFigures(0.8, abs_rel=0.1, ms=10.0), MultiviewFigures(0.0)])
    assert (means.coverage, means.abs_rel, means.ms) == (0.4, 0.1, 10.0)


def test_simulated_sequences_have_noise_of_the_stated_size_and_moving_objects():
    exact = [load() for load in simulated_sequence(1, 'forward', 2, moving_object=True).frames]
    noisy = [load() for load in simulated_sequence(1, 'forward', 2, OdometryNoise(0.0, 0.01, 0.2)).frames]
    moved = [np.linalg.norm(a.view.pose[:3, 3] - b.view.pose[:3, 3]) for a, b in zip(exact, noisy, strict=True)]
    assert 0.002 < np.mean(moved) < 0.05
    assert exact[0].moving.any()
    still = ~exact[0].moving
    assert np.array_equal(exact[0].truth_m[still], noisy[0].truth_m[still])


def test_bench_multiview_prints_the_figures_of_a_recording(walk, tmp_path, capsys):
    write_named_poses(tmp_path, walk)
    report = tmp_path / 'figures.json'
    code = main(['bench', 'multiview', str(tmp_path), '--seeds', '--json', str(report)])
    (row,) = json.loads(report.read_text())
    assert row['sequence'] == tmp_path.name
    assert row['frames'] == 3
    assert row['coverage'] > 0.6
    assert code == bool(row['missed'])
    table = capsys.readouterr().out
    assert table.count('\n') == 3
    assert 'AbsRel' in table
