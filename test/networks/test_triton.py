"""Networks on a real Triton server: outputs, errors, and a server that is killed and started again."""

import threading
import time
from contextlib import closing

import numpy as np
import pytest
from tiny_model import model

pytest.importorskip('tritonclient.grpc', reason='tritonclient is not installed: pip install tritonclient[grpc]')

from triton_server import TritonServer, why_not

from depth_ros.cli.main import main
from depth_ros.errors import DeadlineExceeded, InferenceError, ServerUnavailable
from depth_ros.networks.runtimes.kserve_runtime import KserveRuntime, RemoteOptions
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.networks.runtimes.runtime import TensorInfo
from depth_ros.pipeline import mono_estimator
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.settings.server_address import parse_url
from depth_ros.types import Camera, Frame

pytestmark = pytest.mark.slow
CAMERA = Camera(160, 120, 128.0, 128.0, 80.0, 60.0)
IMAGE = {'image': np.full((1, 3, 48, 64), 6, np.float32)}


@pytest.fixture(scope='module')
def manifest(tmp_path_factory):
    return model(tmp_path_factory.mktemp('model') / 'tiny')


@pytest.fixture(scope='module')
def server(manifest, tmp_path_factory):
    if reason := why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp('triton')
    assert main(['models', 'serve', str(manifest), 'sim-indoor', '--out', str(folder / 'repository')]) == 0
    with TritonServer(folder / 'repository') as server:
        yield server


def opened(server, name='tiny', deadline_s=5.0):
    return KserveRuntime(RemoteOptions(parse_url(server.url(name)), deadline_s))


def test_the_server_states_the_tensors_of_the_written_configuration(server):
    with closing(opened(server)) as runtime:
        assert runtime.inputs == (TensorInfo('image', 'float32', (1, 3, None, None)),)
        assert runtime.outputs == (TensorInfo('depth', 'float32', (1, 1, None, None)),)
        np.testing.assert_allclose(runtime.infer(IMAGE)['depth'], 7.0, atol=1e-5)


def test_the_depth_is_that_of_the_local_run(server):
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    settings = MonoSettings(model='sim-indoor', device='cpu', allow_simulator_model=True)
    remote = settings.changed({'device': 'remote', 'url': server.url('sim-indoor'), 'remote_deadline_ms': 5000.0})
    found = []
    for each in (settings, remote):
        with closing(mono_estimator(each)) as estimator:
            found.append(estimator.estimate(Frame(image, CAMERA)).values)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)


def test_a_missing_model_is_refused(server):
    with pytest.raises(ServerUnavailable, match="unknown model: 'other'"):
        opened(server, 'other')


def test_a_wrong_shape_is_an_error_of_the_server_and_the_next_call_succeeds(server):
    with closing(opened(server)) as runtime:
        runtime.inputs = (TensorInfo('image', 'float32', (None, None, None)),)  # so that the check here passes it
        with pytest.raises(InferenceError, match='unexpected shape') as caught:
            runtime.infer({'image': IMAGE['image'][0]})
        assert not isinstance(caught.value, ServerUnavailable)
        runtime.inputs = (TensorInfo('image', 'float32', (1, 3, None, None)),)
        assert runtime.infer(IMAGE)


def test_a_slow_server_meets_the_deadline_and_cancel(server):
    with closing(opened(server, deadline_s=0.3)) as runtime:
        runtime.infer(IMAGE)
        server.set_delay('tiny', 1.5)
        with pytest.raises(DeadlineExceeded):
            runtime.infer(IMAGE)
        server.set_delay('tiny', 0)
    with closing(opened(server, deadline_s=60.0)) as runtime:
        runtime.infer(IMAGE)
        server.set_delay('tiny', 1.5)
        threading.Timer(0.2, runtime.cancel).start()
        with pytest.raises(InferenceError, match='CANCELLED'):
            runtime.infer(IMAGE)
        server.set_delay('tiny', 0)
        assert runtime.infer(IMAGE)


def test_a_server_that_is_killed_in_flight_is_substituted_until_it_has_been_started_again(server, manifest, tmp_path):
    small = model(tmp_path / 'small', name='small', plus=6.0)
    settings = MonoSettings(
        model=str(manifest), device='remote', url=server.url('tiny'), remote_deadline_ms=20000.0,
        fallback_model=str(small),
    )  # fmt: skip
    frame, said = Frame(np.full((48, 64, 3), 2, np.uint8), CAMERA), []
    with closing(mono_estimator(settings, ProgressListener(warn=said.append, waits_for_server=True))) as network:
        assert network.estimate(frame).values.max() == pytest.approx(3.0)
        server.set_delay('tiny', 10)
        threading.Timer(0.3, server.kill).start()
        with pytest.raises(ServerUnavailable):
            network.estimate(frame)
        assert network.estimate(frame).values.max() == pytest.approx(8.0)
        server.set_delay('tiny', 0)
        server.start()
        end_s = time.monotonic() + 30.0
        while network.substituted:
            assert time.monotonic() < end_s
            time.sleep(0.05)
        assert network.estimate(frame).values.max() == pytest.approx(3.0)
    assert len(said) == 2 and 'is used because' in said[0] and 'the server is available' in said[1]
