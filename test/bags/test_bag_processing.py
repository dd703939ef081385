"""`depth-ros bag process` on bags that are written and read by rosbags."""

import functools
import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import psutil
import pytest
import yaml
from bag_files import SIZE, BagWriter, cloud_message, image, info, make, read, transform, write_bag
from rosbags.rosbag2 import StoragePlugin
from scenes import bent, calibrations, pair
from tiny_model import RELATIVE, model, prompted_model

from depth_ros.bags.bag_processing import process_recording
from depth_ros.cli.main import main
from depth_ros.errors import BadFile, BadSettings
from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.messages.read_messages import stamp_ns
from depth_ros.settings.node_settings import MonoSettings, StereoSettings

SETTINGS = StereoSettings(range_min_m=2.0)


@pytest.mark.parametrize('options', [
    {}, {'plugin': StoragePlugin.MCAP}, {'compress': True}, {'namespace': '/front'},
])  # fmt: skip
def test_every_frame_of_a_bag_becomes_depth_with_its_own_stamp(tmp_path, options):
    source = write_bag(tmp_path / 'in', **options)
    namespace = options.get('namespace', '')
    report = process_recording(source, tmp_path / 'out', SETTINGS, (namespace,), mcap='plugin' in options)
    assert report.written == 5 and report.dropped == {}
    found = read(tmp_path / 'out')
    assert set(found) == {f'{namespace}/{t}' for t in ('depth/image_rect', 'depth/camera_info', 'points')}
    for frame, (recorded, _, message) in enumerate(found[f'{namespace}/depth/image_rect']):
        assert stamp_ns(message.header.stamp) == 10**9 + frame * 10**8 and recorded == 10**9 + frame * 10**8 + 8
        depth = message.data.view(np.float32).reshape(SIZE)
        assert np.nanmedian(depth) == pytest.approx(300 * 0.1 / 8, rel=0.01)
    cloud = found[f'{namespace}/points'][0][2]
    assert cloud.is_dense and len(cloud.data) == cloud.width * cloud.point_step


def test_rows_that_do_not_match_are_a_remark_and_are_corrected_on_request(tmp_path):
    (height, width), infos = SIZE, calibrations(SIZE[1], SIZE[0])
    left, right = pair(np.full((height, width), 8.0, np.float32))
    with BagWriter(tmp_path / 'in') as bag:
        for stamp in range(10**9, 5 * 10**9, 4 * 10**8):
            for side, pixels, calibration in (('left', left, infos[0]), ('right', bent(right, 3.0), infos[1])):
                bag.add(f'/{side}/camera_info', info(calibration, stamp), stamp)
                bag.add(f'/{side}/image_rect', image(pixels, stamp), stamp)
    valid_share = {}
    for align_rows in (False, True):
        target = tmp_path / f'out_{align_rows}'
        report = process_recording(tmp_path / 'in', target, replace(SETTINGS, align_rows=align_rows))
        depths = [message.data.view(np.float32) for _, _, message in read(target)['/depth/image_rect']]
        valid_share[align_rows] = [np.isfinite(depth).mean() for depth in depths]
        assert report.written == 10 and len(report.remarks) == (0 if align_rows else 1)
    assert valid_share[True][0] == valid_share[False][0]  # not measured yet
    assert valid_share[True][-1] > valid_share[False][-1] + 0.1
    remark = process_recording(tmp_path / 'in', tmp_path / 'again', SETTINGS).remarks[0]
    assert remark.startswith('/left/image_rect: the rows of the right image are off by 3.00 px')


def test_two_runs_give_the_same_messages(tmp_path):
    source = write_bag(tmp_path / 'in')
    for name in ('a', 'b'):
        process_recording(source, tmp_path / name, SETTINGS)
    first, second = read(tmp_path / 'a'), read(tmp_path / 'b')
    assert {t: [m[:2] for m in ms] for t, ms in first.items()} == {t: [m[:2] for m in ms] for t, ms in second.items()}


def test_inputs_are_copied_on_request(tmp_path):
    source = write_bag(tmp_path / 'in')
    process_recording(source, tmp_path / 'out', SETTINGS, keep_inputs=True)
    before, after = read(source), read(tmp_path / 'out')
    for topic, messages in before.items():
        assert [m[:2] for m in after[topic]] == [m[:2] for m in messages]


def test_networks_are_supported_and_relative_depth_has_its_own_topic(tmp_path):
    source = write_bag(tmp_path / 'in')
    for name, manifest, topic in (('tiny', None, '/left/depth/image_rect'), ('rel', RELATIVE, '/left/depth/relative')):
        path = model(tmp_path / name, *([manifest] if manifest else []))
        renamed = tmp_path / f'{name}.yaml'
        renamed.write_text('')
        settings = MonoSettings(model=str(path))
        with pytest.raises(BadFile, match=r'has no topic /left/image; available: /left/camera_info'):
            process_recording(source, tmp_path / f'{name}_no', settings, ('/left',))
        mono = tmp_path / f'{name}_in'
        with BagWriter(mono) as bag:
            for frame in range(3):
                bag.add('/left/image', image(np.full(SIZE, 9, np.uint8), 10**9 + frame), 10**9 + frame)
        assert process_recording(mono, tmp_path / f'{name}_out', settings, ('/left',)).written == 3
        assert topic in read(tmp_path / f'{name}_out')


@pytest.mark.parametrize(('scaling', 'expected'), [('robust', 1.0), ('none', 200.0)])
def test_relative_depth_in_a_recording_is_scaled_as_in_a_node(tmp_path, scaling, expected):
    with BagWriter(tmp_path / 'in') as bag:
        pixels = np.tile(np.linspace(0, 199, SIZE[1]).astype(np.uint8), (SIZE[0], 1))
        bag.add('/image', image(pixels, 10**9), 10**9)
    settings = MonoSettings(model=str(model(tmp_path / 'rel', RELATIVE)), relative_scaling=scaling)
    process_recording(tmp_path / 'in', tmp_path / 'out', settings)
    values = read(tmp_path / 'out')['/depth/relative'][0][2].data.view(np.float32)
    assert values.max() == pytest.approx(expected, rel=0.01)


def test_damaged_messages_are_counted_and_the_others_are_processed(tmp_path):
    source = write_bag(tmp_path / 'in', damaged=(1, 3))
    report = process_recording(source, tmp_path / 'out', SETTINGS)
    assert report.written == 3 and report.dropped == {'damaged': 2, 'unpaired': 2}


@pytest.mark.parametrize(
    ('damage', 'text'),
    [
        (lambda p: (p / 'metadata.yaml').write_text('a: ['), 'cannot be read as a bag'),
        (lambda p: next(p.glob('*.db3')).write_bytes(b''), 'cannot be read as a bag|no topic'),
        (lambda p: next(p.glob('*.db3')).unlink(), 'cannot be read as a bag'),
    ],
)
def test_an_invalid_bag_gives_one_clear_error(tmp_path, damage, text):
    source = write_bag(tmp_path / 'in')
    damage(source)
    with pytest.raises(BadFile, match=text):
        process_recording(source, tmp_path / 'out', SETTINGS)


def test_the_command_reads_a_parameter_file_and_reports_the_result(tmp_path, capsys):
    source = write_bag(tmp_path / 'in')
    parameters = tmp_path / 'stereo.yaml'
    parameters.write_text(yaml.safe_dump({'/**': {'ros__parameters': {'range_min_m': 2.0, 'filter': {'edges': True}}}}))
    arguments = ['bag', 'process', str(source), str(tmp_path / 'out'), '--params', str(parameters), '--json']
    assert main([*arguments, '-p', 'depth_encoding:=16UC1']) == 0
    assert json.loads(capsys.readouterr().out)['written'] == 5
    assert read(tmp_path / 'out')['/depth/image_rect'][0][2].encoding == '16UC1'
    for more, text in (
        ([], 'cannot be written'),
        (['-p', 'rang_min_m:=1'], "did you mean 'range_min_m'?"),
    ):
        assert main([*arguments, *more]) == 1
        error = capsys.readouterr().err
        assert text in error and error.count('\n') == 1


@pytest.mark.slow
def test_ctrl_c_leaves_a_readable_bag(tmp_path):
    source = write_bag(tmp_path / 'in', frames=2500)
    command = [sys.executable, '-m', 'depth_ros.cli.main', 'bag', 'process', str(source), str(tmp_path / 'out')]
    # A shell that runs the tests in the background ignores SIGINT, and child processes inherit this.
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    running = subprocess.Popen(command, preexec_fn=listen, stderr=subprocess.PIPE, text=True)
    process, end_s = psutil.Process(running.pid), time.monotonic() + 60
    while not (tmp_path / 'out').exists() and time.monotonic() < end_s:
        time.sleep(0.01)
    start_s = process.cpu_times().user
    while process.cpu_times().user < start_s + 0.5 and time.monotonic() < end_s:  # some frames are written
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=60)
    assert running.returncode == 130 and 'Traceback' not in error
    assert 0 < len(read(tmp_path / 'out')['/depth/image_rect']) < 2500


def test_points_of_a_bag_are_cropped_and_thinned_as_a_node_does(tmp_path):
    source = write_bag(tmp_path / 'in', frames=1)
    counts = {}
    for name, values in {'all': {}, 'near': {'cloud_range_max_m': 3.0}, 'thin': {'cloud_voxel_m': 0.5}}.items():
        process_recording(source, tmp_path / name, SETTINGS.changed(values))
        counts[name] = read(tmp_path / name)['/points'][0][2].width
    assert counts['all'] > 500 and counts['near'] < 0.1 * counts['all'] and counts['thin'] < 0.1 * counts['all']


def test_without_metadata_the_files_are_read_alone(tmp_path):
    source = write_bag(tmp_path / 'in')
    (source / 'metadata.yaml').unlink()
    report = process_recording(source, tmp_path / 'out', SETTINGS)
    assert (report.frames, report.written) == (5, 5)


def test_a_recording_is_used_up_to_its_damaged_part(tmp_path, capsys):
    source = write_bag(tmp_path / 'in', frames=400, plugin=StoragePlugin.MCAP, compress=True)
    (file,) = source.glob('*.mcap')
    whole = bytearray(file.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 50_000] = b'\xff' * 50_000
    file.write_bytes(whole)
    assert main(['bag', 'process', str(source), str(tmp_path / 'out'), '-p', 'range_min_m:=2.0', '--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert 10 < report['written'] < 400 and report['dropped']['rest_of_bag_unreadable'] and report['cut_off']
    assert len(read(tmp_path / 'out')['/depth/image_rect']) == report['written']


def test_a_frame_that_the_estimator_fails_on_is_counted_with_the_drop_reason_of_the_node(tmp_path, monkeypatch):
    fake = FakeEstimator(8.0, fail_at=lambda frame: frame == 2)
    monkeypatch.setattr('depth_ros.bags.bag_cameras.stereo_estimator', lambda settings: fake)
    report = process_recording(write_bag(tmp_path / 'in'), tmp_path / 'out', SETTINGS)
    assert (report.written, report.dropped) == (4, {'estimator_failed': 1})


@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_a_cut_off_file_gives_one_clear_error(tmp_path, capsys, plugin):
    source = write_bag(tmp_path / 'in', plugin=plugin, frames=50)
    (file,) = (path for path in source.iterdir() if path.suffix != '.yaml')
    file.write_bytes(file.read_bytes()[:-100_000])
    assert main(['bag', 'process', str(source), str(tmp_path / 'out')]) == 1
    error = capsys.readouterr().err
    assert 'mcap recover' in error and error.count('\n') == 1 and not (tmp_path / 'out').exists()


def test_empty_images_and_stamps_that_go_back_do_not_affect_other_frames(tmp_path):
    source = write_bag(
        tmp_path / 'in', stamp=lambda f: 10**9 + (f if f < 6 else f - 100 if f < 12 else f) * 10**8 + 10**11
    )
    assert process_recording(source, tmp_path / 'out', SETTINGS).written == 5
    with BagWriter(tmp_path / 'empty') as bag:
        for frame in range(4):
            stamp = 10**9 + frame * 10**8
            message = image(np.full(SIZE, 9, np.uint8), stamp)
            if frame == 1:
                message.data = np.empty(0, np.uint8)
            bag.add('/image', message, stamp)
    settings = MonoSettings(model=str(model(tmp_path / 'tiny')))
    report = process_recording(tmp_path / 'empty', tmp_path / 'empty_out', settings)
    assert (report.frames, report.written, report.dropped) == (4, 3, {'bad_image': 1})


def test_a_recording_of_dashing_whose_types_have_short_names_is_read(tmp_path, capsys):
    bag = write_bag(tmp_path / 'in')
    metadata = bag / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('sensor_msgs/msg/', 'sensor_msgs/'))
    with closing(sqlite3.connect(next(bag.glob('*.db3')))) as database, database:
        database.execute("UPDATE topics SET type = replace(type, '/msg/', '/')")
    assert main(['bag', 'info', str(bag)]) == 0
    assert 'stereo under /: left and right are 0.0 ms apart' in capsys.readouterr().out
    report = process_recording(bag, tmp_path / 'out', SETTINGS, keep_inputs=True)
    assert report.written == report.frames == 5 and not report.dropped
    assert len(read(tmp_path / 'out')['/left/image_rect']) == 5


def test_a_topic_of_another_type_is_named_in_the_error(tmp_path):
    with BagWriter(tmp_path / 'in') as bag:
        bag.add('/image', make('std_msgs/msg/String', data='hello'), 1)
    settings = MonoSettings(model=str(model(tmp_path / 'tiny')))
    with pytest.raises(BadFile, match='/image in .* is std_msgs/msg/String; expected sensor_msgs/msg/Image or'):
        process_recording(tmp_path / 'in', tmp_path / 'out', settings)


def test_several_cameras_share_one_network_and_keep_their_namespaces(tmp_path):
    network = model(tmp_path / 'tiny')
    grey = {'front': 3, 'rear': 7}
    with BagWriter(tmp_path / 'in') as bag:
        for frame in range(4):
            for offset, (name, value) in enumerate(grey.items()):
                stamp = 10**9 + frame * 10**8 + offset
                bag.add(f'/car/{name}/image', image(np.full(SIZE, value, np.uint8), stamp), stamp)
    arguments = ['bag', 'process', str(tmp_path / 'in'), str(tmp_path / 'out'), '--node', 'mono_depth', '--json']
    more = ['-p', f'model:={network}', '--namespace', '/car', '--cameras', 'front,rear', '--keep-inputs']
    assert main([*arguments, *more]) == 0
    found = read(tmp_path / 'out')
    for name, value in grey.items():
        depth = found[f'/car/{name}/depth/image_rect']
        assert len(depth) == 4 == len(found[f'/car/{name}/image'])
        assert np.allclose(depth[0][2].data.view(np.float32), value + 1)


@pytest.mark.slow
def test_several_bags_are_processed_in_parallel_and_a_failure_does_not_stop_the_others(tmp_path, capfd):
    sources = [write_bag(tmp_path / name, frames=3 + i) for i, name in enumerate('ab')]
    (tmp_path / 'c').mkdir()
    arguments = ['bag', 'process', *map(str, [*sources, tmp_path / 'c']), str(tmp_path / 'out'), '--jobs', '2']
    assert main([*arguments, '-p', 'range_min_m:=2.0']) == 1
    output = capfd.readouterr().out
    assert 'a: 3 of 3 frames' in output and 'b: 4 of 4 frames' in output and 'c cannot be read as a bag' in output
    assert len(read(tmp_path / 'out' / 'b')['/depth/image_rect']) == 4


def lidar_bag(path, static):
    """Write a grey ramp, and lidar points of its inverse depth; the pose of the lidar is given by tf."""
    rows, columns = SIZE
    grey = np.broadcast_to(np.arange(columns, dtype=np.uint8) * 2, SIZE).copy()
    depth = 1 / (0.002 * (grey.astype(np.float32) + 1) + 0.1)
    calibration, _ = calibrations(columns, rows)
    fx, fy, cx, cy = (calibration.p[i] for i in (0, 5, 2, 6))
    v, u = np.mgrid[2:rows:4, 2:columns:4]
    z = depth[v, u]
    in_camera = np.stack([(u - cx) / fx * z, (v - cy) / fy * z, z], axis=-1).reshape(-1, 3)
    with BagWriter(path) as bag:
        for frame in range(8):
            stamp = 10**9 + frame * 10**8
            moved = 0.0 if static else 0.05 * frame
            if static and frame == 7:  # recorded last, but valid from the first frame on
                bag.add('/tf_static', transform('base', 'lidar', 0, (1.0, 0.0, 0.0)), stamp)
            if not static:
                bag.add('/tf', transform('base', 'lidar', stamp, (1.0 + moved, 0.0, 0.0)), stamp - 2)
            bag.add('/tf', transform('base', 'left_camera_optical_frame', stamp, (0.5, 0.0, 0.0)), stamp - 1)
            bag.add('/camera_info', info(calibration, stamp), stamp)
            bag.add('/scale/reference', cloud_message(in_camera - [0.5 + moved, 0, 0], 'lidar', stamp), stamp + 1)
            bag.add('/image', image(grey, stamp), stamp + 2)
    return depth


@pytest.mark.parametrize('static', [True, False])
def test_a_lidar_in_the_bag_gives_metres_as_it_does_in_a_node(tmp_path, static):
    depth = lidar_bag(tmp_path / 'in', static)
    values = {'model': str(model(tmp_path / 'rel', RELATIVE)), 'scale.source': 'reference', 'filter.edges': False}
    report = process_recording(tmp_path / 'in', tmp_path / 'out', MonoSettings().changed(values))
    found = read(tmp_path / 'out')
    assert report.written == 8 and len(found['/depth/relative']) == 1 and len(found['/depth/image_rect']) == 7
    measured = found['/depth/image_rect'][-1][2].data.view(np.float32).reshape(SIZE)
    np.testing.assert_allclose(
        measured, depth, rtol=0.025
    )  # tolerance: two grey levels, lost in resizing for the network


def test_a_lidar_in_the_bag_is_the_prompt_of_a_network_that_takes_one(tmp_path):
    depth = lidar_bag(tmp_path / 'in', static=False)
    values = {'model': prompted_model(tmp_path / 'tiny'), 'filter.edges': False, 'scale.max_skew_ms': 50.0}
    with pytest.raises(BadSettings, match='takes a measured depth of the scene with every image'):
        process_recording(tmp_path / 'in', tmp_path / 'none', MonoSettings().changed(values))
    settings = MonoSettings().changed({**values, 'scale.source': 'reference'})
    report = process_recording(tmp_path / 'in', tmp_path / 'out', settings)
    found = read(tmp_path / 'out')
    assert report.written == 8 and 'no_prompt' not in report.dropped and '/depth/relative' not in found
    measured = found['/depth/image_rect'][-1][2].data.view(np.float32).reshape(SIZE)
    middle = slice(SIZE[1] // 4, -SIZE[1] // 8)
    np.testing.assert_allclose(measured[:, middle], depth[:, middle], rtol=0.1)  # tolerance: a prompt of 16x12 pixels
    late = MonoSettings().changed({**values, 'scale.source': 'reference', 'scale.max_skew_ms': 0.0})
    with BagWriter(tmp_path / 'alone') as bag:
        bag.add('/scale/reference', cloud_message(np.ones((20, 3)), 'left_camera_optical_frame', 5), 5)
        bag.add('/camera_info', info(calibrations(SIZE[1], SIZE[0])[0], 10**9), 10**9)
        bag.add('/image', image(np.full(SIZE, 9, np.uint8), 10**9), 10**9)
    report = process_recording(tmp_path / 'alone', tmp_path / 'alone_out', late)
    assert report.written == 0 and report.dropped == {'no_prompt': 1}


def test_the_temporal_filter_is_applied_as_in_a_node(tmp_path):
    network = model(tmp_path / 'tiny')
    with BagWriter(tmp_path / 'in') as bag:
        for frame in range(6):
            stamp = 10**9 + frame * 10**8
            bag.add('/image', image(np.full(SIZE, 100 + frame % 2, np.uint8), stamp), stamp)
    spread = {}
    for temporal in (False, True):
        settings = MonoSettings(model=str(network)).changed({'filter.temporal': temporal, 'range_max_m': 1000.0})
        process_recording(tmp_path / 'in', tmp_path / str(temporal), settings)
        depths = [m.data.view(np.float32)[0] for _, _, m in read(tmp_path / str(temporal))['/depth/image_rect']]
        spread[temporal] = np.ptp(depths[3:])
    assert spread[False] == pytest.approx(1, rel=1e-3) and 0 < spread[True] < 0.6


def test_a_recording_with_a_drivers_own_names_is_processed_with_remappings(tmp_path):
    source = write_bag(tmp_path / 'in', namespace='/zed/zed_node')
    names = [f'{side}/{topic}' for side in ('left', 'right') for topic in ('image_rect', 'camera_info')]
    remaps = [word for name in names for word in ('-r', f'{name}:=/zed/zed_node/{name}')]
    arguments = ['bag', 'process', str(source), str(tmp_path / 'out'), '-p', 'range_min_m:=2.0', '--keep-inputs']
    assert main([*arguments, *remaps, '-r', '/front/points:=cloud', '--namespace', 'front']) == 0
    found = read(tmp_path / 'out')
    expected = [*names, 'depth/image_rect', 'depth/camera_info', 'cloud']
    assert set(found) == {f'/front/{name}' for name in expected}
    before = read(source)
    for name in names:
        assert [m[:2] for m in found[f'/front/{name}']] == [m[:2] for m in before[f'/zed/zed_node/{name}']]


def test_a_model_option_selects_the_network_and_invalid_remappings_are_usage_errors(tmp_path, capsys):
    network = model(tmp_path / 'tiny')
    with BagWriter(tmp_path / 'in') as bag:
        bag.add('/camera/image_raw', image(np.full(SIZE, 9, np.uint8), 10**9), 10**9)
    arguments = ['bag', 'process', str(tmp_path / 'in'), str(tmp_path / 'out'), '--model', str(network)]
    for remap in ('image=/camera/image_raw', 'image:=', '__ns:=/camera', 'mono_depth:image:=/camera/image_raw'):
        with pytest.raises(SystemExit, match='2'):
            main([*arguments, '-r', remap])
        assert f"'{remap}' is not a remapping; expected FROM:=TO" in capsys.readouterr().err
    assert main([*arguments, '-r', 'image:=/camera/image_raw']) == 0
    assert len(read(tmp_path / 'out')['/depth/image_rect']) == 1
