"""A recording that is processed in segments gives what it gives in one piece."""

import json
from contextlib import closing
from dataclasses import asdict, replace

import numpy as np
import pytest
from bag_files import SIZE, STORE, BagWriter, image, info, read
from fleet_work import FakeWorkers
from scenes import calibrations, pair
from tiny_model import RELATIVE, model

from depth_ros.bags.bag_processing import process_recording
from depth_ros.bags.bag_reader import Bag
from depth_ros.bags.bag_segments import join_bags, joined_report, overlap_s, segments_of
from depth_ros.cli import bag_process
from depth_ros.cli.main import main
from depth_ros.scale.scale_fit import Scale, ScaleFit
from depth_ros.scale.scale_tracker import ScaleTracker
from depth_ros.settings.node_settings import MonoSettings, StereoSettings

SETTINGS = StereoSettings(range_min_m=2.0)


def write_drive(path, frames=40, damaged=(), without_right=()):
    """Write 10 pairs per second of a wall with noise, whose right images are recorded 60 ms after the left ones."""
    noise = np.random.default_rng(5)
    infos = calibrations(SIZE[1], SIZE[0])
    with BagWriter(path) as bag:
        for side in ('left', 'right'):
            for topic, kind in (('image_rect', 'Image'), ('camera_info', 'CameraInfo')):
                bag.connect(f'/{side}/{topic}', f'sensor_msgs/msg/{kind}')
        for frame in range(frames):
            stamp = 10**9 + frame * 10**8
            images = pair(np.full(SIZE, 8.0, np.float32) + noise.uniform(0, 0.4, SIZE).astype(np.float32))
            for side, pixels, calibration, delay in zip(('left', 'right'), images, infos, (0, 6 * 10**7), strict=True):
                if side == 'right' and frame in without_right:
                    continue
                bag.add(f'/{side}/camera_info', info(calibration, stamp), stamp + delay)
                message = image(pixels, stamp)
                data = bytes(STORE.serialize_cdr(message, message.__msgtype__))
                bag.write(
                    f'/{side}/image_rect', data[:40] if side == 'left' and frame in damaged else data, stamp + delay
                )
    return path


def in_segments(source, folder, settings, length_s, overlap, **options):
    """Process a recording in segments; return the joined bag and report."""
    segments, reports = segments_of(source, length_s, overlap), []
    for index, segment in enumerate(segments):
        reports.append(process_recording(source, folder / f'{index}', settings, segment=segment, **options))
    join_bags([folder / f'{index}' for index in range(len(segments))], folder / 'joined', mcap=False)
    return folder / 'joined', joined_report([asdict(report) for report in reports])


def serialized(path):
    """Return topic, recording time and bytes of all messages, in their order; damaged ones are included."""
    with closing(Bag(path)) as bag:
        return [(connection.topic, *message) for connection, *message in bag.serialized(*bag.types())]


@pytest.mark.parametrize('length_s', [0.73, 100.0])
def test_pairs_across_a_cut_and_unusable_messages_are_those_of_the_uncut_recording(tmp_path, length_s):
    source = write_drive(tmp_path / 'in', 30, damaged=(3, 10, 19, 20), without_right=(9, 11, 12, 28, 29))
    whole = process_recording(source, tmp_path / 'out', SETTINGS, keep_inputs=True)
    joined, report = in_segments(source, tmp_path, SETTINGS, length_s, 1.0, keep_inputs=True)
    assert serialized(joined) == serialized(tmp_path / 'out')
    assert {**report, 'seconds': 0} == {**asdict(whole), 'seconds': 0} and report['written'] == 21
    assert report['dropped'] == {'damaged': 4, 'unpaired': 9}


@pytest.mark.slow
def test_the_temporal_filter_forgets_its_start_within_the_overlap(tmp_path):
    source = write_drive(tmp_path / 'in', 60)
    settings = replace(SETTINGS, filter_temporal=True)
    process_recording(source, tmp_path / 'out', settings)
    whole = depths(tmp_path / 'out')
    differing = {}
    for overlap in (0.0, 1.0, 4.0):
        folder = tmp_path / f'{overlap}'
        folder.mkdir()
        joined, _ = in_segments(source, folder, settings, 4.1, overlap)
        differing[overlap] = np.nanmax(np.abs(depths(joined) / whole - 1))
        assert (np.isnan(depths(joined)) == np.isnan(whole)).all()
    assert differing[0.0] > 1e-3 > differing[1.0] > 1e-6 > differing[4.0]


def depths(path):
    return np.stack([each.data.view(np.float32) for _, _, each in read(path)['/depth/image_rect']])


@pytest.mark.parametrize(('period_s', 'limit'), [(0.1, 1e-12), (1.0, 1e-4)])
def test_the_scale_tracker_forgets_its_start_within_its_overlap(tmp_path, period_s, limit):
    settings = MonoSettings(model=str(model(tmp_path / 'rel', RELATIVE)), scale_source='reference')
    overlap, probes = overlap_s(settings), np.linspace(0.1, 1, 64, dtype=np.float32)
    noise = np.random.default_rng(2)
    fits = [
        ScaleFit(Scale('factor', float(value), 0.0), 0.01, 0.9, np.ones(1, bool))
        for value in noise.uniform(1.9, 2.1, 1200)
    ]
    cut = len(fits) // 2
    uncut, late = ScaleTracker('factor'), ScaleTracker('factor')
    for index, fit in enumerate(fits):
        stamp_ns = round(index * period_s * 1e9)
        expected = uncut.update(fit, '', probes, stamp_ns, 2.0)
        if index >= cut - overlap / period_s:
            status = late.update(fit, '', probes, stamp_ns, 2.0)
        if index >= cut:
            assert status.scale.scale == pytest.approx(expected.scale.scale, rel=limit)


def test_the_overlap_depends_on_the_state_that_is_kept_between_frames(tmp_path):
    assert overlap_s(SETTINGS) == 10
    assert overlap_s(replace(SETTINGS, filter_temporal=True)) == 30
    assert overlap_s(replace(SETTINGS, align_rows=True)) == 120
    assert overlap_s(MonoSettings(model=str(model(tmp_path / 'metric')))) == 10
    assert overlap_s(MonoSettings(model=str(model(tmp_path / 'relative', RELATIVE)))) == 30


@pytest.mark.slow
def test_the_command_processes_segments_and_joins_them_and_resumes(tmp_path, capsys, monkeypatch):
    sources = [write_drive(tmp_path / 'long', 30), write_drive(tmp_path / 'short', 5)]
    done = []

    class Interrupted(FakeWorkers):
        def give(self, worker, task):
            if len(done) == 2:
                raise KeyboardInterrupt
            done.append(task.name)
            super().give(worker, task)

    arguments = ['bag', 'process', *map(str, sources), str(tmp_path / 'out'), '-p', 'range_min_m:=2.0', '--json']
    split = ['--split', '1s', '--overlap', '1s']
    monkeypatch.setattr(bag_process, 'LocalWorkers', Interrupted)
    assert main([*arguments, *split]) == 130
    assert sorted(each.name for each in (tmp_path / 'out').iterdir()) == ['long.segments']
    monkeypatch.setattr(bag_process, 'LocalWorkers', FakeWorkers)
    written = {each: each.stat().st_mtime_ns for each in tmp_path.glob('out/*/*/finished.json')}
    capsys.readouterr()
    kept = []
    monkeypatch.setattr(
        FakeWorkers, 'give', lambda self, worker, task: (kept.append(task.name), self.busy.append((worker, task)))
    )
    assert main([*arguments, *split]) == 0 and len(written) == 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line['state'], line['written']) for line in lines] == [('done', 30), ('done', 5)]
    assert kept == ['long/0002', 'short/0000'] and done == ['long/0000', 'long/0001']
    assert sorted(each.name for each in (tmp_path / 'out').iterdir()) == ['long', 'short']
    process_recording(sources[0], tmp_path / 'whole', SETTINGS)
    assert serialized(tmp_path / 'out/long') == serialized(tmp_path / 'whole')
    assert main([*arguments, *split]) == 0
    assert [json.loads(line)['state'] for line in capsys.readouterr().out.splitlines()] == ['finished before'] * 2


@pytest.mark.parametrize(('text', 'seconds'), [('300s', 300), ('5min', 300), ('0.5', 0.5), ('2h', 7200)])
def test_durations_have_units(text, seconds):
    from depth_ros.cli.argument_types import duration_s

    assert duration_s(text) == seconds


def test_a_duration_without_a_meaning_is_a_usage_error(capsys):
    with pytest.raises(SystemExit, match='2'):
        main(['bag', 'process', 'a', 'b', '--split', '5 apples'])
    assert "'5 apples' is not a duration; expected seconds, such as 300s" in capsys.readouterr().err
