"""`depth-ros bag process` on real bags, written and read by rosbags."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scenes import calibrations, pair
from tiny_model import RELATIVE, model

from depth_ros.bags.process import process
from depth_ros.cli.main import main
from depth_ros.errors import BadFile
from depth_ros.files.ros_fields import stamp_ns
from depth_ros.settings import MonoSettings, StereoSettings

STORE = get_typestore(Stores.ROS2_HUMBLE)
SIZE = (64, 96)


def make(name, **values):
    return STORE.types[name](**values)


def header(stamp):
    when = make('builtin_interfaces/msg/Time', sec=stamp // 10**9, nanosec=stamp % 10**9)
    return make('std_msgs/msg/Header', stamp=when, frame_id='left_camera_optical_frame')


def image(pixels, stamp):
    return make(
        'sensor_msgs/msg/Image', header=header(stamp), height=pixels.shape[0], width=pixels.shape[1], encoding='mono8',
        is_bigendian=0, step=pixels.shape[1], data=pixels.reshape(-1),
    )  # fmt: skip


def info(calibration, stamp):
    roi = make('sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return make(
        'sensor_msgs/msg/CameraInfo', header=header(stamp), height=calibration.height, width=calibration.width,
        distortion_model='plumb_bob', d=np.zeros(5), k=np.array(calibration.k), r=np.array(calibration.r),
        p=np.array(calibration.p), binning_x=0, binning_y=0, roi=roi,
    )  # fmt: skip


def write_bag(
    path,
    frames=5,
    damaged=(),
    infos=True,
    plugin=StoragePlugin.SQLITE3,
    namespace='',
    compress=False,
    stamp=lambda frame: 10**9 + frame * 10**8,
    recorded=lambda frame: 10**9 + frame * 10**8,
    skew_ms=0.0,
    baseline_m=0.1,
):
    """Write a stereo camera that sees a wall at 8 px; some left images may be damaged."""
    pictures = dict(zip(('left', 'right'), pair(np.full(SIZE, 8.0, np.float32)), strict=True))
    found = dict(zip(('left', 'right'), calibrations(SIZE[1], SIZE[0], baseline_m=baseline_m), strict=True))
    writer = Writer(path, version=9, storage_plugin=plugin)
    if compress:
        writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for side in ('left', 'right'):
            for topic, kind in ((f'{side}/image_rect', 'Image'), (f'{side}/camera_info', 'CameraInfo')):
                name = f'{namespace}/{topic}'
                connections[topic] = writer.add_connection(name, f'sensor_msgs/msg/{kind}', typestore=STORE)
        for frame in range(frames):
            for side in ('left', 'right'):
                taken = stamp(frame) + round(skew_ms * 1e6) * (side == 'right')
                if infos:
                    data = STORE.serialize_cdr(info(found[side], taken), 'sensor_msgs/msg/CameraInfo')
                    writer.write(connections[f'{side}/camera_info'], recorded(frame) + 7, data)
                data = STORE.serialize_cdr(image(pictures[side], taken), 'sensor_msgs/msg/Image')
                if side == 'left' and frame in damaged:
                    data = bytes(data)[:40]
                writer.write(connections[f'{side}/image_rect'], recorded(frame) + 8, data)
    return path


def read(path):
    """Return the messages by topic: (recorded, serialized, message)."""
    found = {}
    with AnyReader([path], default_typestore=STORE) as reader:
        for connection, recorded, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((recorded, bytes(data), message))
    return found


SETTINGS = StereoSettings(range_min_m=2.0)


@pytest.mark.parametrize('how', [
    {}, {'plugin': StoragePlugin.MCAP}, {'compress': True}, {'namespace': '/front'},
])  # fmt: skip
def test_every_frame_of_a_bag_becomes_depth_with_its_own_stamp(tmp_path, how):
    source = write_bag(tmp_path / 'in', **how)
    namespace = how.get('namespace', '')
    report = process(source, tmp_path / 'out', SETTINGS, namespace, mcap='plugin' in how)
    assert report.written == 5 and report.dropped == {}
    found = read(tmp_path / 'out')
    assert set(found) == {f'{namespace}/{t}' for t in ('depth/image_rect', 'depth/camera_info', 'points')}
    for frame, (recorded, _, message) in enumerate(found[f'{namespace}/depth/image_rect']):
        assert stamp_ns(message.header.stamp) == 10**9 + frame * 10**8 and recorded == 10**9 + frame * 10**8 + 8
        depth = message.data.view(np.float32).reshape(SIZE)
        assert np.nanmedian(depth) == pytest.approx(300 * 0.1 / 8, rel=0.01)
    cloud = found[f'{namespace}/points'][0][2]
    assert cloud.is_dense and len(cloud.data) == cloud.width * cloud.point_step


def test_two_runs_give_the_same_messages(tmp_path):
    source = write_bag(tmp_path / 'in')
    for name in ('a', 'b'):
        process(source, tmp_path / name, SETTINGS)
    first, second = read(tmp_path / 'a'), read(tmp_path / 'b')
    assert {t: [m[:2] for m in ms] for t, ms in first.items()} == {t: [m[:2] for m in ms] for t, ms in second.items()}


def test_inputs_are_kept_on_request(tmp_path):
    source = write_bag(tmp_path / 'in')
    process(source, tmp_path / 'out', SETTINGS, keep_inputs=True)
    before, after = read(source), read(tmp_path / 'out')
    for topic, messages in before.items():
        assert [m[:2] for m in after[topic]] == [m[:2] for m in messages]


def test_a_network_works_too_and_what_is_not_metres_is_not_called_depth(tmp_path):
    source = write_bag(tmp_path / 'in')
    for name, manifest, topic in (('tiny', None, '/left/depth/image_rect'), ('rel', RELATIVE, '/left/depth/relative')):
        path = model(tmp_path / name, *([manifest] if manifest else []))
        renamed = tmp_path / f'{name}.yaml'
        renamed.write_text('')
        settings = MonoSettings(model=str(path))
        with pytest.raises(BadFile, match=r'has no topic /left/image; it has /left/camera_info'):
            process(source, tmp_path / f'{name}_no', settings, '/left')
        mono = mono_bag(tmp_path / f'{name}_in')
        assert process(mono, tmp_path / f'{name}_out', settings, '/left').written == 3
        assert topic in read(tmp_path / f'{name}_out')


def mono_bag(path):
    with Writer(path, version=9) as writer:
        connection = writer.add_connection('/left/image', 'sensor_msgs/msg/Image', typestore=STORE)
        for frame in range(3):
            data = STORE.serialize_cdr(image(np.full(SIZE, 9, np.uint8), 10**9 + frame), 'sensor_msgs/msg/Image')
            writer.write(connection, 10**9 + frame, data)
    return path


def test_damaged_messages_are_counted_and_the_rest_is_done(tmp_path):
    source = write_bag(tmp_path / 'in', damaged=(1, 3))
    report = process(source, tmp_path / 'out', SETTINGS)
    assert report.written == 3 and report.dropped['damaged'] == 2


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (lambda p: (p / 'metadata.yaml').unlink(), 'cannot be read as a bag'),
        (lambda p: (p / 'metadata.yaml').write_text('a: ['), 'cannot be read as a bag'),
        (lambda p: next(p.glob('*.db3')).write_bytes(b''), 'cannot be read as a bag|no topic'),
        (lambda p: next(p.glob('*.db3')).unlink(), 'cannot be read as a bag'),
    ],
)
def test_a_bag_that_is_none_is_one_clear_error(tmp_path, spoil, words):
    source = write_bag(tmp_path / 'in')
    spoil(source)
    with pytest.raises(BadFile, match=words):
        process(source, tmp_path / 'out', SETTINGS)


def test_the_command_takes_a_parameters_file_and_says_what_it_did(tmp_path, capsys):
    source = write_bag(tmp_path / 'in')
    parameters = tmp_path / 'stereo.yaml'
    parameters.write_text(yaml.safe_dump({'/**': {'ros__parameters': {'range_min_m': 2.0, 'filter': {'edges': True}}}}))
    arguments = ['bag', 'process', str(source), str(tmp_path / 'out'), '--params', str(parameters), '--json']
    assert main([*arguments, '-p', 'depth_encoding:=16UC1']) == 0
    assert json.loads(capsys.readouterr().out)['written'] == 5
    assert read(tmp_path / 'out')['/depth/image_rect'][0][2].encoding == '16UC1'
    for more, words in (
        ([], 'cannot be written'),
        (['-p', 'range_min_m'], "-p 'range_min_m'; expected name:=value"),
        (['-p', 'rang_min_m:=1'], "did you mean 'range_min_m'?"),
    ):
        assert main([*arguments, *more]) == 1
        error = capsys.readouterr().err
        assert words in error and error.count('\n') == 1


def test_ctrl_c_leaves_a_readable_bag(tmp_path):
    source = write_bag(tmp_path / 'in', frames=400)
    command = [sys.executable, '-m', 'depth_ros.cli.main', 'bag', 'process', str(source), str(tmp_path / 'out')]
    running = subprocess.Popen(command, env={**os.environ}, stderr=subprocess.PIPE, text=True)
    end_s = time.monotonic() + 20
    while not (tmp_path / 'out').exists() and time.monotonic() < end_s:
        time.sleep(0.01)
    time.sleep(0.4)
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=10)
    assert running.returncode == 130 and 'Traceback' not in error
    assert 0 < len(read(tmp_path / 'out')['/depth/image_rect']) < 400


def test_points_of_a_bag_are_cropped_and_thinned_as_a_node_does(tmp_path):
    source = write_bag(tmp_path / 'in', frames=1)
    counts = {}
    for name, values in {'all': {}, 'near': {'cloud_range_max_m': 3.0}, 'thin': {'cloud_voxel_m': 0.5}}.items():
        process(source, tmp_path / name, SETTINGS.changed(values))
        counts[name] = read(tmp_path / name)['/points'][0][2].width
    assert counts['all'] > 500 and counts['near'] < 0.1 * counts['all'] and counts['thin'] < 0.1 * counts['all']
