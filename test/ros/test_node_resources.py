"""What a node opens, keeps and closes: estimators over its lifecycle and swaps, the mask that changes on disk."""

import time
from functools import partial

import numpy as np
import pytest
from graph import Graph, MonoGraph, wait_for
from models_scene import scene_runtime
from tiny_model import model

from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.files.image_files import write_image_file
from depth_ros.networks.catalog import find_manifest
from depth_ros.networks.network_estimator import MonoNetwork
from depth_ros.pipeline import mono_estimator
from depth_ros.ros.camera_nodes import sharing_estimators

pytestmark = pytest.mark.ros
DEPTH = 'depth/image_rect'


def floats(message):
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


class FakeNetworks:
    """Makes networks on fake backends, which fail when they are used after they were closed."""

    def __init__(self, **faults):
        self.backends, self.faults = [], faults

    def __call__(self, settings, watch):
        manifest, _ = find_manifest('depth-anything-v2-metric-indoor-small')
        self.backends.append(scene_runtime(manifest, (64, 48), **self.faults))
        return MonoNetwork(manifest, self.backends[-1])

    @property
    def times_closed(self):
        return [backend.times_closed for backend in self.backends]


@pytest.mark.slow
def test_twenty_rounds_of_configuring_and_cleaning_up_close_every_network_once():
    make = FakeNetworks()
    with MonoGraph({'model': 'x', 'autostart': False}, make, listen=(DEPTH,)) as graph:
        for opened in range(1, 21):
            assert graph.change_state('configure', 'mono_depth')
            assert make.times_closed == [1] * (opened - 1) + [0]
            if opened % 5 == 0:
                assert graph.change_state('activate', 'mono_depth')
                graph.open_camera()
                graph.received[DEPTH].clear()
                wait_for(lambda: graph.send() and time.sleep(0.05) is None and graph.received[DEPTH])
                assert graph.change_state('deactivate', 'mono_depth')
            assert graph.change_state('cleanup', 'mono_depth')
            assert make.times_closed == [1] * opened


@pytest.mark.parametrize('transition', ['active_shutdown', 'inactive_shutdown', None])
def test_shutting_down_from_any_state_closes_the_network_once(transition):
    make = FakeNetworks()
    with MonoGraph({'model': 'x'}, make, listen=()) as graph:
        wait_for(lambda: graph.lifecycle_state('mono_depth') == 'active')
        if transition == 'inactive_shutdown':
            assert graph.change_state('deactivate', 'mono_depth')
        if transition:
            assert graph.change_state(transition, 'mono_depth')
            assert make.times_closed == [1]
    assert make.times_closed == [1]


def test_a_node_that_cannot_make_its_outputs_closes_what_it_had_loaded(monkeypatch):
    make = FakeNetworks()

    def fail(*arguments):
        raise RuntimeError('no topics')

    monkeypatch.setattr('depth_ros.ros.depth_node.Outputs', fail)
    with MonoGraph({'model': 'x', 'autostart': False}, make, listen=()) as graph:
        assert not graph.change_state('configure', 'mono_depth')
        assert make.times_closed == [1]


@pytest.mark.slow
def test_networks_swapped_while_frames_are_estimated_are_closed_once_and_never_used_again():
    make = FakeNetworks(latency_s=0.03)
    with MonoGraph({'model': 'a'}, make, listen=(DEPTH,)) as graph:
        graph.open_camera()

        def swapped(count):
            graph.send()
            time.sleep(0.02)
            return len(make.backends) == count + 1 and make.times_closed[-2] == 1

        for threads in range(1, 6):
            count = len(make.backends)
            assert graph.set_parameters('mono_depth', threads=threads).successful
            wait_for(partial(swapped, count))
        graph.stream(10, rate_hz=60)
        account = graph.wait_until_settled()
        assert 'estimator_failed' not in account.dropped, account.dropped
        assert make.times_closed == [1, 1, 1, 1, 1, 0]
    assert make.times_closed == [1] * 6


def test_changing_range_min_m_on_a_running_node_loads_no_network(tmp_path, opened_backends):
    with MonoGraph({'model': str(model(tmp_path))}, mono_estimator, listen=(DEPTH,)) as graph:
        graph.open_camera()
        image = graph.image(graph.head(), np.full((48, 64), 2, np.uint8))
        graph.send(image=image)
        assert (floats(graph.wait_for_messages(DEPTH)[0]) == 3.0).all()
        assert graph.set_parameters('mono_depth', range_min_m=3.5).successful
        wait_for(lambda: graph.send(image=image) and (floats(graph.received[DEPTH][-1]) == -np.inf).all())
        assert len(opened_backends) == 1
    assert opened_backends[0].times_closed == 1


def test_two_cameras_that_share_a_network_close_it_when_both_are_cleaned_up(tmp_path, opened_backends):
    share, parameters = sharing_estimators(2), {'model': str(model(tmp_path)), 'autostart': False}
    with MonoGraph(parameters, share, listen=()) as first, MonoGraph(parameters, share, listen=()) as second:
        for _ in range(3):
            for graph in (first, second):
                assert graph.change_state('configure', 'mono_depth')
            assert first.change_state('cleanup', 'mono_depth')
            assert opened_backends[-1].times_closed == 0
            assert second.change_state('cleanup', 'mono_depth')
            assert [backend.times_closed for backend in opened_backends] == [1] * len(opened_backends)
        assert len(opened_backends) == 3


def test_a_stuck_estimator_is_closed_when_its_frame_ends_after_the_node_gave_it_up(monkeypatch):
    monkeypatch.setattr('depth_ros.ros.depth_node._STOP_TIMEOUT_S', 0.2)
    made = []

    class Deaf(FakeEstimator):
        def cancel(self):
            pass

    def make(settings, watch):
        made.append(Deaf(latency_s=1.5))
        return made[-1]

    with Graph(make_estimator=make, listen=(DEPTH,)) as graph:
        graph.open_camera()
        graph.send()
        wait_for(lambda: made[0].frames == 1)
        assert graph.change_state('deactivate')
        assert made[0].times_closed == 0
        wait_for(lambda: made[0].times_closed == 1)
        assert graph.change_state('activate') and len(made) == 2
    assert [estimator.times_closed for estimator in made] == [1, 1]


def test_a_mask_that_changes_on_disk_is_read_again_while_the_node_runs(tmp_path):
    path = tmp_path / 'mask.png'
    mask = np.full((48, 64), 255, np.uint8)
    mask[:10] = 0
    write_image_file(path, mask)
    with Graph({'filter.mask_file': str(path)}, listen=(DEPTH,)) as graph:
        graph.open_camera()
        graph.send()
        depth = floats(graph.wait_for_messages(DEPTH)[0])
        assert np.isnan(depth[:10]).all() and np.isfinite(depth[10:]).all()
        path.write_bytes(b'half of an image')
        wait_for(
            lambda: graph.send() and time.sleep(0.05) is None and 'bad_file' in graph.node.accounting.counts().dropped
        )
        assert 'filter.mask_file' in graph.wait_for_status('mask.png')[1]
        write_image_file(path, np.full((48, 64), 255, np.uint8))
        wait_for(
            lambda: graph.send() and time.sleep(0.05) is None and np.isfinite(floats(graph.received[DEPTH][-1])).all()
        )
        graph.wait_for_status('Hz')
