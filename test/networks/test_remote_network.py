"""A network on a server: the check of its metadata, reconnection, and the network that substitutes it."""

import threading
import time
from contextlib import closing, contextmanager

import numpy as np
import pytest
from tiny_model import MANIFEST, STEREO, mean_of_channels, model, with_free_batch

pytest.importorskip('tritonclient.grpc', reason='tritonclient is not installed: pip install tritonclient[grpc]')

import grpc
from inference_server import InferenceServer

from depth_ros.errors import (
    BadSettings,
    DeadlineExceeded,
    DeviceUnavailable,
    InferenceError,
    ModelError,
    ModelMismatch,
    ServerUnavailable,
)
from depth_ros.networks import open_network, remote_network
from depth_ros.networks.runtimes.progress import NO_LISTENER, ProgressListener
from depth_ros.pipeline import mono_estimator, stereo_estimator
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.types import Camera, Frame, StereoFrame, StereoRig

CAMERA = Camera(64, 48, 60.0, 60.0, 32.0, 24.0)
ON_SERVER, SUBSTITUTED = 3.0, 8.0
"""Depth of an image of value 2, from the network on the server and from its substitute."""


def wait_for(condition):
    end_s = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def frame(value=2):
    return Frame(np.full((48, 64, 3), value, np.uint8), CAMERA)


def depth_of(estimator):
    values = estimator.estimate(frame()).values
    assert values.min() == pytest.approx(values.max(), abs=1e-5)  # of one network alone
    return pytest.approx(float(values[0, 0]), abs=1e-5)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(remote_network, '_MIN_PAUSE_S', 0.02)
    monkeypatch.setattr(remote_network, '_MAX_PAUSE_S', 0.1)


@pytest.fixture
def manifest(tmp_path):
    """Return a manifest whose file is only on the server."""
    path = model(tmp_path / 'model')
    (tmp_path / 'served').mkdir()
    path.with_suffix('.onnx').rename(tmp_path / 'served/tiny.onnx')
    return path


@pytest.fixture
def substitute(tmp_path):
    return model(tmp_path / 'substitute', name='small', plus=6.0)


@pytest.fixture
def server(manifest, tmp_path):
    with InferenceServer({'tiny': tmp_path / 'served/tiny.onnx'}) as server:
        yield server


def settings(manifest, server, **values):
    url = server if isinstance(server, str) else server.url()
    return MonoSettings(model=str(manifest), device='remote', url=url, **{'remote_deadline_ms': 5000.0, **values})


@contextmanager
def restarted(server, tmp_path, **options):
    with InferenceServer({'tiny': tmp_path / 'served/tiny.onnx'}, port=server.port, **options) as again:
        assert again.port == server.port
        yield again


class Said(list):
    """The changes that were reported."""

    def listener(self, **options):
        return ProgressListener(warn=self.append, waits_for_server=True, **options)


def test_a_network_on_the_server_gives_the_depth_of_the_local_one_without_a_file_on_this_machine(
    manifest, server, tmp_path
):
    image = Frame(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8), CAMERA)
    with closing(mono_estimator(settings(manifest, server))) as remote:
        actual = remote.estimate(image)
        assert remote.name == f'tiny on {server.url()} (test)' == actual.source
    (tmp_path / 'served/tiny.onnx').rename(manifest.with_suffix('.onnx'))
    with closing(mono_estimator(MonoSettings(model=str(manifest), device='cpu'))) as local:
        expected = local.estimate(image)
    np.testing.assert_array_equal(actual.values, expected.values)
    assert actual.space == expected.space == 'metric_depth'


def test_a_stereo_network_on_the_server_gives_its_disparity(tmp_path):
    path = model(tmp_path / 'model', STEREO)
    rig = StereoRig(CAMERA, CAMERA.cx, 0.1)
    left = np.random.default_rng(0).integers(0, 64, (48, 64, 3), np.uint8)
    with InferenceServer({'pairs': path.with_suffix('.onnx')}) as server:
        remote = StereoSettings(model=str(path), device='remote', url=server.url('pairs'), remote_deadline_ms=5000.0)
        with closing(stereo_estimator(remote)) as network:
            disparity = network.estimate(StereoFrame(left, left, rig))
    with closing(stereo_estimator(StereoSettings(model=str(path), device='cpu'))) as local:
        expected = local.estimate(StereoFrame(left, left, rig))
    assert np.isfinite(expected.disparity_px).any()
    np.testing.assert_array_equal(disparity.disparity_px, expected.disparity_px)


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        (('name: image', 'name: picture'), 'input picture: float32.*the file has none with this name'),
        (('role: image', 'role: image, dtype: uint8'), 'input image: uint8 NCHW.*the file has float32 1x3x'),
        (('name: depth', 'name: distance'), 'output distance: 4 axes'),
        (('task: mono', 'task: stereo'), 'is a stereo network'),
    ],
)
def test_a_server_with_another_model_than_the_manifest_describes_is_refused(manifest, server, change, text):
    content = STEREO.replace('other', 'more') if 'stereo' in change[1] else MANIFEST.replace(*change)
    manifest.write_text(content)
    for listener in (NO_LISTENER, Said().listener()):
        with pytest.raises(ModelMismatch, match=f'(?s){text}'):
            mono_estimator(settings(manifest, server), listener)


def test_a_server_that_is_unavailable_is_an_error_unless_the_caller_waits_for_it(manifest, server, tmp_path):
    server.stop()
    with pytest.raises(ServerUnavailable, match='refused'):
        mono_estimator(settings(manifest, server))
    said = Said()
    with closing(mono_estimator(settings(manifest, server), said.listener())) as network:
        assert 'refused' in network.unavailable and 'no depth until the server is available' in said[0]
        with pytest.raises(ServerUnavailable, match='refused'):
            network.estimate(frame())
        with restarted(server, tmp_path):
            wait_for(lambda: not network.unavailable)
            assert depth_of(network) == ON_SERVER
        assert said[1:] == [f'the server is available: {network.name} is used']


def test_errors_that_time_does_not_repair_are_raised_in_any_case(manifest, server, monkeypatch):
    with pytest.raises(ModelError, match='unknown model'):
        mono_estimator(settings('no-such-model', server), Said().listener())
    with pytest.raises(ModelError, match='unknown model'):
        mono_estimator(settings(manifest, server, fallback_model='no-such-model'), Said().listener())
    monkeypatch.setitem(__import__('sys').modules, 'tritonclient.grpc', None)
    with pytest.raises(DeviceUnavailable, match='tritonclient is not installed'):
        mono_estimator(settings(manifest, server), Said().listener())


def test_an_unexpected_error_of_the_connection_is_reported_and_does_not_block(manifest, server, monkeypatch):
    def fail(*_):
        raise ValueError('of the library')

    monkeypatch.setattr(open_network, 'KserveRuntime', fail)
    with pytest.raises(InferenceError, match='ValueError: of the library'):
        mono_estimator(settings(manifest, server))


def test_the_substitute_serves_while_the_server_is_gone_and_every_change_is_said(
    manifest, server, substitute, tmp_path
):
    said = Said()
    with closing(
        mono_estimator(settings(manifest, server, fallback_model=str(substitute)), said.listener())
    ) as network:
        assert depth_of(network) == ON_SERVER and not network.substituted and not said
        server.stop()
        with pytest.raises(ServerUnavailable):
            network.estimate(frame())  # the frame during which the server disappeared is lost
        assert depth_of(network) == SUBSTITUTED and network.estimate(frame()).source == network.name
        assert network.name.startswith('small on ') and not network.unavailable
        assert said == [network.substituted] and f'is used because {server.url()}' in said[0]
        with restarted(server, tmp_path):
            wait_for(lambda: not network.substituted)
            assert depth_of(network) == ON_SERVER
        assert said[1:] == [f'the server is available: {network.name} is used']


def test_a_server_that_is_gone_at_the_start_is_substituted(manifest, server, substitute):
    server.stop()
    said = Said()
    with closing(
        mono_estimator(settings(manifest, server, fallback_model=str(substitute)), said.listener())
    ) as network:
        assert depth_of(network) == SUBSTITUTED and 'is used because' in said[0]


def test_late_answers_lose_their_frames_and_three_in_a_row_end_the_connection(manifest, server, substitute):
    chosen = settings(manifest, server, fallback_model=str(substitute), remote_deadline_ms=100.0)
    with closing(mono_estimator(chosen, Said().listener())) as network:
        server.delay_s = 60.0
        for _ in range(2):
            with pytest.raises(DeadlineExceeded):
                network.estimate(frame())
        assert not network.substituted
        with pytest.raises(DeadlineExceeded):
            network.estimate(frame())
        assert depth_of(network) == SUBSTITUTED
        server.delay_s = 0.0


def test_a_success_between_failures_keeps_the_connection(manifest, server):
    with closing(mono_estimator(settings(manifest, server), Said().listener())) as network:
        for _ in range(4):
            server.error = grpc.StatusCode.INTERNAL
            for _ in range(2):
                with pytest.raises(InferenceError, match='INTERNAL'):
                    network.estimate(frame())
            server.error = None
            assert depth_of(network) == ON_SERVER


def test_a_server_that_returns_with_another_model_is_not_used(manifest, server, tmp_path):
    with closing(mono_estimator(settings(manifest, server), Said().listener())) as network:
        server.stop()
        with pytest.raises(ServerUnavailable):
            network.estimate(frame())
        served = tmp_path / 'served/tiny.onnx'
        mean_of_channels(served, inputs=('image', 'other'))
        with restarted(server, tmp_path):
            wait_for(lambda: 'does not match its manifest' in network.unavailable)
        mean_of_channels(served)
        with restarted(server, tmp_path):
            wait_for(lambda: not network.unavailable)
            assert depth_of(network) == ON_SERVER


def test_the_pauses_between_attempts_grow_to_their_limit(manifest, server, monkeypatch):
    server.stop()
    pauses, wait = [], threading.Event.wait

    def recorded(self, timeout=None):
        if threading.current_thread().name == 'reconnect' and timeout is not None:
            pauses.append(timeout)
        return wait(self, timeout)

    monkeypatch.setattr(threading.Event, 'wait', recorded)
    with closing(mono_estimator(settings(manifest, server), Said().listener())):
        wait_for(
            lambda: [p for p in pauses if p in (0.0, 0.02, 0.04, 0.08, 0.1)][:6] == [0.0, 0.02, 0.04, 0.08, 0.1, 0.1]
        )


def test_closing_ends_the_attempts_to_connect_and_a_call_that_is_cancelled_raises(manifest, server):
    network = mono_estimator(settings(manifest, server, remote_deadline_ms=60000.0), Said().listener())
    server.delay_s = 60.0
    threading.Timer(0.2, network.cancel).start()
    with pytest.raises(InferenceError, match='CANCELLED'):
        network.estimate(frame())
    network.close()
    server.stop()
    network = mono_estimator(settings(manifest, server), Said().listener())
    assert 'reconnect' in {thread.name for thread in threading.enumerate()}
    network.close()
    assert 'reconnect' not in {thread.name for thread in threading.enumerate()}


def test_the_first_attempt_can_be_cancelled(manifest, server):
    server.delay_s = 60.0
    with pytest.raises(InferenceError, match='cancelled while connecting'):
        mono_estimator(settings(manifest, server), Said().listener(cancelled=lambda: server.inferences > 0))


def test_frames_of_several_cameras_run_as_one_batch_on_the_server(tmp_path):
    path = with_free_batch(model(tmp_path / 'model'))
    with (
        InferenceServer({'tiny': path.with_suffix('.onnx')}) as server,
        closing(mono_estimator(settings(path, server), NO_LISTENER, cameras=3)) as network,
    ):
        assert network.largest_batch == 3
        estimates = network.estimate_batch([frame(1), frame(2), frame(3)])
        assert [round(float(each.values[0, 0])) for each in estimates] == [2, 3, 4]
        assert server.received == [('image', 'FP32', (3, 3, 48, 64))]


@pytest.mark.parametrize(
    ('values', 'text'),
    [
        ({'device': 'remote'}, "device is remote and url is ''; expected grpc://host:port/model"),
        ({'device': 'remote', 'url': 'http://host:8000/model'}, "url is 'http://host:8000/model'; expected grpc://"),
        ({'device': 'remote', 'url': 'grpc://host:8001'}, 'expected grpc://host:port/model'),
        ({'device': 'remote', 'url': 'grpc://host:99999/model'}, 'expected grpc://host:port/model'),
        (
            {'device': 'remote', 'url': 'grpc://host/model', 'remote_token_file': '/run/token'},
            "remote_token_file is '/run/token' and url is 'grpc://host/model'; expected grpcs://",
        ),
        (
            {'device': 'remote', 'url': 'grpc://host/model', 'remote_ca_file': '/run/ca.pem'},
            "remote_ca_file is '/run/ca.pem' and url is 'grpc://host/model'; expected grpcs://",
        ),
        ({'scale_source': 'fixed', 'fallback_model': 'small'}, 'the scale of one network is wrong for another'),
    ],
)
def test_contradictory_settings_are_refused(values, text):
    with pytest.raises(BadSettings) as caught:
        MonoSettings(**values)
    assert text in str(caught.value)


def test_a_password_in_the_url_is_refused_and_not_shown():
    with pytest.raises(BadSettings, match='remote_token_file') as caught:
        MonoSettings(device='remote', url='grpc://user:secret@host:8001/model')
    assert 'secret' not in str(caught.value)


def test_the_port_of_the_url_may_be_omitted():
    chosen = MonoSettings(device='remote', url='grpcs://gpu.local/moge-2-small')
    assert chosen.server.host == 'gpu.local:8001' and chosen.server.encrypted
    assert MonoSettings(device='remote', url='grpc://[::1]:9000/m').server.host == '[::1]:9000'
