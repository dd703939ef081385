"""Reports of several recordings are merged exactly, whatever their order and the number of workers."""

import json
import random

import numpy as np
import pytest
from bag_files import SIZE, BagWriter, depth_message, image, info
from fleet_work import FakeWorkers
from scenes import calibrations, pair

from depth_ros.cli.main import main
from depth_ros.evaluation.depth_metrics import depth_accuracy
from depth_ros.evaluation.evaluate import Evaluation, FrameResult
from depth_ros.evaluation.merged_report import merged_report
from depth_ros.evaluation.metrics_by_distance import MetricsByDistance
from depth_ros.evaluation.report import build_report, read_report
from depth_ros.evaluation.stereo_metrics import disparity_accuracy
from depth_ros.fleet import local_workers

MAPS = np.random.default_rng(3)


def frame_maps(valid):
    """Return a truth of 12 x 16 pixels, some unknown, and an estimate that knows a share of them."""
    truth = MAPS.uniform(0.5, 30, (12, 16)).astype(np.float32)
    truth[MAPS.uniform(size=truth.shape) < 0.2] = np.nan
    estimate = truth * MAPS.uniform(0.7, 1.3, truth.shape).astype(np.float32)
    estimate[MAPS.uniform(size=truth.shape) > valid] = np.nan
    return estimate, truth


def result(name, estimate, truth):
    disparity = disparity_accuracy(60 / estimate, 60 / truth)
    return FrameResult(name, depth_accuracy(estimate, truth), disparity, 7.0, int(np.isfinite(truth).sum()))


def report(frames):
    evaluation = Evaluation(estimator='matcher')
    for name, (estimate, truth) in frames.items():
        evaluation.frames.append(result(name, estimate, truth))
        evaluation.by_distance.add(estimate, truth)
    return json.loads(json.dumps(build_report(evaluation, {'node': 'stereo_depth', 'settings': {}})))


@pytest.fixture(scope='module')
def recordings():
    shares = {'a': (0.9, 0.1), 'b': (0.5,), 'c': (0.7, 0.0, 1.0)}
    return {name: {f'{i}': frame_maps(share) for i, share in enumerate(each)} for name, each in shares.items()}


def test_merged_figures_are_those_of_all_pixels_of_all_frames_and_of_all_recordings(recordings):
    reports = {name: report(frames) for name, frames in recordings.items()}
    merged = merged_report(reports.items(), {})
    maps = [each for frames in recordings.values() for each in frames.values()]
    whole = result('whole', *(np.concatenate([each[i].ravel() for each in maps])[None] for i in range(2))).figures()
    for name, value in merged['by_pixel'].items():
        assert value == pytest.approx(whole[name], rel=1e-9), name
    assert whole.keys() - merged['by_pixel'].keys() == {'silog', 'ms', 'truth_pixels'}
    together = report({f'{name}/{i}': each for name, frames in recordings.items() for i, each in frames.items()})
    assert merged['figures'] == pytest.approx(together['figures'], rel=1e-12)
    assert merged['histogram'] == together['histogram']
    by_distance = MetricsByDistance()
    for each in maps:
        by_distance.add(*each)
    for each, expected in zip(merged['by_distance'], by_distance.bins(), strict=True):
        assert (each['pixels'], each['abs_rel']) == (expected.pixels, pytest.approx(expected.abs_rel, rel=1e-12))
    means = [each['figures']['abs_rel'] for each in reports.values()]
    assert merged['by_recording']['abs_rel'] == pytest.approx(np.mean(means), rel=1e-12)
    assert [row['name'] for row in merged['frames']] == ['a', 'b', 'c'] and merged['rows'] == 'recordings'


def test_merging_does_not_depend_on_the_order(recordings):
    reports = [(name, report(frames)) for name, frames in recordings.items()]
    texts = set()
    for seed in range(5):
        random.Random(seed).shuffle(reports)
        texts.add(json.dumps(merged_report(reports, {'z': 'damaged', 'y': 'absent'}), sort_keys=True))
    assert len(texts) == 1


def test_recordings_and_frames_that_failed_are_listed(recordings):
    one = report(recordings['a']) | {'failed': {'5': 'no calibration'}}
    merged = merged_report([('a', one)], {'b': 'damaged'})
    assert merged['failed'] == {'a/5': 'no calibration', 'b': 'damaged'}


def write_wall(path, distances_px):
    """Write a small recording of a wall with its true depth; one frame for each disparity."""
    infos = calibrations(SIZE[1], SIZE[0])
    with BagWriter(path) as bag:
        for frame, distance_px in enumerate(distances_px):
            stamp = 10**9 + frame * 10**8
            images = pair(np.full(SIZE, distance_px, np.float32))
            for side, pixels, calibration in zip(('left', 'right'), images, infos, strict=True):
                bag.add(f'/{side}/camera_info', info(calibration, stamp), stamp)
                bag.add(f'/{side}/image_rect', image(pixels, stamp), stamp)
            bag.add('/truth/depth', depth_message(np.full(SIZE, 30 / distance_px, np.float32), stamp), stamp)


@pytest.mark.slow
def test_several_recordings_are_evaluated_once_and_merged(tmp_path, capsys, monkeypatch):
    write_wall(tmp_path / 'a', (8, 9, 10))
    write_wall(tmp_path / 'b', (12, 6, 7))
    (tmp_path / 'damaged').mkdir()
    (tmp_path / 'damaged/x.mcap').write_bytes(b'x')
    sources = [str(tmp_path / name) for name in ('b', 'damaged', 'a')]
    reports, settings = [], ('-p', 'range_min_m:=2.0')
    for out, order, jobs in (('1', sources, '2'), ('2', sources[::-1], '1')):
        assert main(['eval', *order, '--out', str(tmp_path / out), '--jobs', jobs, '--json', *settings]) == 1
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert sorted(line['state'] for line in lines[:-1]) == ['done', 'done', 'failed']
        assert lines[-1]['figures']['valid_share'] > 0.5
        merged = read_report(tmp_path / out)
        assert [(row['name'], row['frames']) for row in merged['frames']] == [('a', 3), ('b', 3)]
        assert 'cannot be read as a bag' in merged['failed']['damaged']
        for figures in (merged['figures'], merged['by_recording'], *merged['frames']):
            del figures['ms']  # the run time
        reports.append(merged)
        monkeypatch.setattr(local_workers, 'LocalWorkers', FakeWorkers)  # saves the start of processes
    assert reports[0] == reports[1]
    write_wall(tmp_path / 'c', (8,))
    assert (
        main(
            ['eval', *sources, str(tmp_path / 'c'), '--out', str(tmp_path / '2'), '--shard', '1/2', '--json', *settings]
        )
        == 1
    )
    states = {line['target'][-1]: line['state'] for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert states == {'b': 'finished before', 'd': 'failed'}
