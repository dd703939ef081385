"""Several cameras on one network: shares, order, batches, namespaces, and what is wrong with names."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest
from domains import isolated_environment, next_domain
from graph import MonoGraph, NodeProcess, wait_for
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tiny_model import model, prompted_model, with_free_batch

from depth_ros.errors import BadSettings, EstimatorError, InferenceError, OutOfMemory
from depth_ros.networks.runtimes.progress import NO_LISTENER
from depth_ros.networks.shared_network import SharedNetworks
from depth_ros.pipeline import mono_estimator
from depth_ros.ros.camera_nodes import sharing_estimators
from depth_ros.ros.ros_messages import to_ros
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.types import Cloud, DepthEstimate, Frame


class Recorder:
    """Takes a while for every run, and remembers whose frames were in it."""

    name = 'recorder'

    def __init__(self, seconds=0.02, batch=1, fail_on=None, error=EstimatorError):
        self.seconds, self.largest_batch, self.fail_on, self.error = seconds, batch, fail_on, error
        self.runs, self.cancelled, self.times_closed = [], threading.Event(), 0

    def estimate(self, frame):
        return self.estimate_batch([frame])[0]

    def estimate_batch(self, frames):
        assert not self.times_closed
        self.runs.append([frame.frame_id for frame in frames])
        if self.cancelled.wait(self.seconds):
            self.cancelled.clear()
            raise EstimatorError('cancelled')
        if self.fail_on in self.runs[-1]:
            raise self.error(f'cannot see for {self.fail_on}')
        return [
            DepthEstimate(np.full(frame.image.shape[:2], 2.0, np.float32), 'metric_depth', None) for frame in frames
        ]

    def cancel(self):
        self.cancelled.set()

    def close(self):
        self.times_closed += 1


def frame(camera, side=8):
    return Frame(np.zeros((side, side), np.uint8), None, 0, camera)


def drive(shares, seconds):
    """Let every camera ask as fast as it can; return what each got."""
    got, end_s = Counter(), time.monotonic() + seconds

    def ask(camera, share):
        while time.monotonic() < end_s:
            assert share.estimate(frame(camera)).values[0, 0] == 2.0
            got[camera] += 1

    threads = [threading.Thread(target=ask, args=item) for item in shares.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def test_one_network_is_loaded_for_all_cameras_and_each_gets_depth():
    loaded, sharing = [], SharedNetworks()

    def load():
        loaded.append(Recorder())
        return loaded[-1]

    shares = {camera: sharing.get('key', load) for camera in 'abc'}
    got = drive(shares, 1.0)
    assert len(loaded) == 1 and len(got) == 3
    assert max(got.values()) - min(got.values()) <= 2, got
    assert sharing.get('another', load).name == 'recorder' and len(loaded) == 2


def test_frames_that_wait_together_run_together_where_the_network_can():
    network, sharing = Recorder(batch=8), SharedNetworks()
    shares = {camera: sharing.get('key', lambda: network) for camera in 'abcd'}
    got = drive(shares, 0.6)
    assert max(len(run) for run in network.runs) >= 3
    assert sum(got.values()) > 1.5 * len(network.runs)


def test_frames_of_another_size_are_not_mixed():
    network, sharing = Recorder(seconds=0.1, batch=8), SharedNetworks()
    shares = [sharing.get('key', lambda: network) for _ in range(3)]
    threads = [threading.Thread(target=s.estimate, args=(frame(str(i), 8 * (i + 1)),)) for i, s in enumerate(shares)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(run) == 1 for run in network.runs) and len(network.runs) == 3


def test_a_failure_is_its_own_camera_s_only():
    network, sharing = Recorder(fail_on='b'), SharedNetworks()
    shares = {camera: sharing.get('key', lambda: network) for camera in 'ab'}
    with pytest.raises(EstimatorError, match='cannot see for b'):
        shares['b'].estimate(frame('b'))
    assert shares['a'].estimate(frame('a')).values.shape == (8, 8)


def test_giving_up_ends_the_own_frame_whether_it_runs_or_waits():
    network, sharing = Recorder(seconds=5.0), SharedNetworks()
    shares = {camera: sharing.get('key', lambda: network) for camera in 'ab'}
    errors = {}

    def ask(camera):
        try:
            shares[camera].estimate(frame(camera))
        except EstimatorError as error:
            errors[camera] = str(error)

    threads = {camera: threading.Thread(target=ask, args=(camera,)) for camera in 'ab'}
    threads['a'].start()
    wait_for(lambda: network.runs)
    threads['b'].start()
    time.sleep(0.1)
    shares['b'].cancel()
    threads['b'].join(1.0)
    assert 'cancelled while' in errors['b'] and threads['a'].is_alive()
    shares['a'].cancel()
    threads['a'].join(1.0)
    assert errors['a'] == 'cancelled'
    shares['a'].cancel()  # nothing runs, nothing happens


def test_the_network_is_closed_with_its_last_share_and_loaded_for_the_next():
    loaded, sharing = [], SharedNetworks()

    def load():
        loaded.append(Recorder())
        return loaded[-1]

    first, second = sharing.get('key', load), sharing.get('key', load)
    first.close()
    assert loaded[0].times_closed == 0 and second.estimate(frame('b')).values.shape == (8, 8)
    second.close()
    assert loaded[0].times_closed == 1
    sharing.get('key', load).close()
    assert [network.times_closed for network in loaded] == [1, 1]


def test_a_share_that_cannot_be_loaded_leaves_nothing_behind():
    sharing, network = SharedNetworks(), Recorder()

    def fail():
        raise InferenceError('no')

    with pytest.raises(InferenceError):
        sharing.get('key', fail)
    sharing.get('key', lambda: network).close()
    assert network.times_closed == 1


def test_a_network_without_memory_is_loaded_again_once_for_all_its_cameras():
    """A camera that renews its estimator returns its share and asks for another one, while others keep theirs."""
    loaded, sharing = [], SharedNetworks()

    def load():
        assert all(network.times_closed == 1 for network in loaded)  # the memory of both may not be there
        loaded.append(Recorder(fail_on=None if loaded else 'b', error=OutOfMemory))
        return loaded[-1]

    first, second = sharing.get('key', load), sharing.get('key', load)
    with pytest.raises(OutOfMemory):
        second.estimate(frame('b'))
    second.close()
    second = sharing.get('key', load)
    assert len(loaded) == 2
    assert first.estimate(frame('a')).values.shape == second.estimate(frame('b')).values.shape
    first.close()
    sharing.get('key', load).close()  # it works, and is not loaded again
    second.close()
    assert [network.times_closed for network in loaded] == [1, 1]


def test_while_a_broken_network_cannot_be_loaded_every_camera_fails_with_the_reason():
    network, sharing = Recorder(fail_on='a'), SharedNetworks()
    first, second = (sharing.get('key', lambda: network) for _ in range(2))
    for _ in range(10):
        with pytest.raises(EstimatorError):
            first.estimate(frame('a'))

    def fail():
        raise InferenceError('no device')

    first.close()
    with pytest.raises(InferenceError, match='no device'):
        sharing.get('key', fail)
    assert network.times_closed == 1
    with pytest.raises(InferenceError, match='no device'):
        second.estimate(frame('b'))
    good = Recorder()
    first = sharing.get('key', lambda: good)
    assert second.estimate(frame('b')).values.shape == (8, 8)
    for share in (first, second):
        share.close()
    assert (network.times_closed, good.times_closed) == (1, 1)


def test_loading_one_network_does_not_keep_others_from_being_closed():
    sharing, go, other = SharedNetworks(), threading.Event(), Recorder()

    def load():
        assert go.wait(10)
        return Recorder()

    share = sharing.get('other', lambda: other)
    loader = threading.Thread(target=sharing.get, args=('key', load))
    loader.start()
    share.close()
    assert other.times_closed == 1 and loader.is_alive()
    go.set()
    loader.join(5)


def test_a_real_graph_with_a_free_first_axis_gives_in_a_batch_what_it_gives_alone(tmp_path):
    network = mono_estimator(MonoSettings(model=str(with_free_batch(model(tmp_path)))), cameras=3)
    rng = np.random.default_rng(0)
    frames = [Frame(rng.integers(0, 256, (40, 60, 3), np.uint8), None) for _ in range(3)]
    for alone, together in zip(map(network.estimate, frames), network.estimate_batch(frames), strict=True):
        np.testing.assert_allclose(together.values, alone.values, rtol=1e-5)


CAMERAS = ('front', 'left', 'rear')


def many(domain, *more):
    return NodeProcess(domain, '--ros-args', *more, module='depth_ros.ros.mono_depth')


@pytest.mark.ros
@pytest.mark.slow
def test_every_camera_has_its_node_its_topics_and_its_account(tmp_path):
    path = model(tmp_path)
    special = tmp_path / 'parameters.yaml'
    special.write_text(
        f'/**:\n  ros__parameters:\n    model: {path}\n/robot/left/mono_depth:\n  ros__parameters: {{range_max_m: 9.0}}\n'
    )
    with MonoGraph(node=False, listen=()) as graph:
        arguments = ('-r', '__ns:=/robot', '--params-file', str(special), '-p', 'cameras:=[front, left, rear]')
        with many(graph.domain, *arguments) as running:
            got = Counter()
            for camera in CAMERAS:
                topic = f'/robot/{camera}/depth/image_rect'
                graph.probe.create_subscription(Image, topic, lambda _, c=camera: got.update([c]), 10)
            publishers = {c: graph.publisher(Image, f'/robot/{c}/image') for c in CAMERAS}
            infos = {c: graph.publisher(CameraInfo, f'/robot/{c}/camera_info') for c in CAMERAS}

            def send():
                for camera in CAMERAS:
                    head = graph.head(frame_id=f'{camera}_optical_frame')
                    infos[camera].publish(to_ros.calibration(graph.infos['left'], head))
                    publishers[camera].publish(graph.image(head))
                time.sleep(0.05)
                return min(got[c] for c in CAMERAS) >= 5

            wait_for(send)
            assert graph.get_parameter('range_max_m', '/robot/left/mono_depth').double_value == 9.0
            assert graph.get_parameter('range_max_m', '/robot/front/mono_depth').double_value == 40.0
            names = lambda: {s.name for m in graph.received['/diagnostics'] for s in m.status}  # noqa: E731
            wait_for(lambda: names() >= {f'robot/{c}/mono_depth: frames' for c in CAMERAS}, what=names)
            running.signal()
            code, output, _ = running.end()
    assert code == 0 and 'Traceback' not in output and 'unknown parameter' not in output, output


@pytest.mark.parametrize(
    ('cameras', 'words'),
    [
        ('[front, front]', "cameras contains 'front' 2 times; expected every name once"),
        ('["front camera"]', "cameras contains 'front camera'; expected names of letters"),
        ('front', 'cameras is not a list of names; expected for example [front, left]'),
        ('[front/left]', "cameras contains 'front/left'; expected names of letters"),
    ],
)
@pytest.mark.ros
@pytest.mark.slow
def test_invalid_camera_names_are_reported(cameras, words):
    command = [sys.executable, '-m', 'depth_ros.ros.mono_depth', '--ros-args', '-p', f'cameras:={cameras}']
    done = subprocess.run(command, env=isolated_environment(next_domain()), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and words in done.stderr and 'Traceback' not in done.stderr, done.stderr


@pytest.mark.ros
@pytest.mark.slow
def test_a_camera_may_be_served_at_most_so_often():
    with MonoGraph({'model': 'x', 'max_rate_hz': 5.0}, lambda settings, watch: Recorder(0.0)) as graph:
        graph.open_camera()
        graph.stream(30, rate_hz=30.0)
        account = graph.wait_until_settled()
        assert 3 <= account.published <= 9 and account.dropped['max_rate'] >= 15, json.dumps(account.dropped)


@pytest.mark.parametrize(
    'source', [{}, {'scale_source': 'fixed'}, {'scale_source': 'reference', 'scale_reference_type': 'range'}]
)
def test_a_network_that_takes_a_measured_depth_needs_a_source_of_it(tmp_path, source):
    for model_name in ('prompt-depth-anything-vits', prompted_model(tmp_path)):
        with pytest.raises(BadSettings, match='takes a measured depth of the scene with every image; scale.source is'):
            sharing_estimators(1)(MonoSettings(model=model_name, **source), NO_LISTENER)


@pytest.mark.ros
@pytest.mark.slow
def test_cameras_that_share_a_network_have_a_measured_depth_each(tmp_path):
    network = prompted_model(tmp_path)
    with MonoGraph(node=False, listen=()) as graph:
        parameters = ('-p', f'model:={network}', '-p', 'scale.source:=reference', '-p', 'cameras:=[front, rear]')
        with many(graph.domain, *parameters, '-p', 'filter.edges:=false'):
            got, distances = {}, {'front': 2.0, 'rear': 5.0}
            for camera in distances:
                graph.probe.create_subscription(
                    Image, f'/{camera}/depth/image_rect', lambda m, c=camera: got.update({c: m}), 10
                )

            def send():
                for camera, distance in distances.items():
                    head = graph.head(frame_id=f'{camera}_optical_frame')
                    points = np.array([[x, y, distance] for x in (-0.2, 0, 0.2) for y in np.linspace(-0.1, 0.1, 9)])
                    cloud = to_ros.point_cloud(Cloud(points.astype(np.float32)), head)
                    graph.publisher(PointCloud2, f'/{camera}/scale/reference').publish(cloud)
                    info = to_ros.calibration(graph.infos['left'], head)
                    graph.publisher(CameraInfo, f'/{camera}/camera_info').publish(info)
                    graph.publisher(Image, f'/{camera}/image').publish(graph.image(head))
                time.sleep(0.05)
                return len(got) == 2

            wait_for(send)
    for camera, distance in distances.items():
        np.testing.assert_allclose(np.frombuffer(got[camera].data, np.float32), distance, rtol=1e-5)
