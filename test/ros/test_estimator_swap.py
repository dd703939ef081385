"""The estimator of a node: which changes build it again, and that every estimator is closed once."""

import threading
from contextlib import suppress

import numpy as np
import pytest
from graph import wait_for
from models_scene import scene_runtime
from scenes import frame
from tiny_model import STEREO, model, with_free_batch

from depth_ros.errors import EstimatorError, InferenceError, ModelLoadError, ModelMismatch
from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.networks.catalog import find_manifest
from depth_ros.networks.load_network import load_network
from depth_ros.networks.network_estimator import MonoNetwork
from depth_ros.networks.runtimes.progress import NO_LISTENER
from depth_ros.pipeline import mono_estimator, stereo_estimator
from depth_ros.ros.camera_nodes import sharing_estimators
from depth_ros.ros.estimator_swap import SwappableEstimator, estimator_key
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.settings.parameter_table import rules
from depth_ros.types import Frame

PAIR = frame(np.full((48, 64), 4.0, np.float32))
A, B, C = (StereoSettings(model=name) for name in 'abc')


class Maker:
    """Builds fake estimators and keeps them all; builds of a model in ``held`` wait for their event."""

    def __init__(self, latency_s=0.0):
        self.made, self.latency_s, self.held, self.refused = [], latency_s, {}, set()

    def __call__(self, settings):
        if settings.model in self.held:
            assert self.held[settings.model].wait(10)
        if settings.model in self.refused:
            raise InferenceError('refused')
        self.made.append(FakeEstimator(latency_s=self.latency_s))
        self.made[-1].model = settings.model
        return self.made[-1]

    @property
    def times_closed(self):
        return [estimator.times_closed for estimator in self.made]


def swappable_of(maker, settings=A):
    return SwappableEstimator(maker, settings, lambda kind, text: None)


def process(swappable, settings):
    """Process one frame; return the model of the estimator that was used."""
    with swappable.use(settings) as estimator:
        estimator.estimate(PAIR)
        return estimator.model


@pytest.mark.parametrize(
    ('settings', 'builds'), [(StereoSettings(), 2), (StereoSettings(model='x'), 1), (MonoSettings(model='x'), 1)]
)
def test_another_range_min_m_builds_another_matcher_and_no_other_network(settings, builds):
    maker = Maker()
    swappable = swappable_of(maker, settings)
    for range_min_m in (0.5, 0.7, 0.7):
        process(swappable, settings.changed({'range_min_m': range_min_m}))
    assert len(maker.made) == builds


@pytest.mark.parametrize('kind', [StereoSettings, MonoSettings])
def test_parameters_that_no_part_is_built_from_build_nothing(kind):
    unchanged = [name for name, rule in rules(kind).items() if not rule.rebuilds]
    assert {'range_max_m', 'colormap', 'rectify', 'filter.edges', 'max_age_s'} <= set(unchanged)
    for settings in (kind(), kind(model='x')):
        assert estimator_key(settings.changed({'range_max_m': 9.0})) == estimator_key(settings)
        assert estimator_key(settings.changed({'max_age_s': 9.0})) == estimator_key(settings)


@pytest.mark.parametrize(
    ('kind', 'values'), [(MonoSettings, {'device': 'tensorrt'}), (MonoSettings, {}), (StereoSettings, {})]
)
def test_everything_that_loading_a_network_reads_is_declared_to_rebuild_it(tmp_path, kind, values):
    path = model(tmp_path, STEREO) if kind is StereoSettings else model(tmp_path)
    settings, read = kind(model=str(path), **values), set()

    class Read:
        def __getattr__(self, name):
            read.add(name)
            return getattr(settings, name)

    with suppress(InferenceError):  # no TensorRT here; the settings were read
        load_network(Read(), NO_LISTENER).runtime.close()
    assert {'model', 'device'} <= read
    assert read <= {name for name, rule in rules(kind).items() if 'network' in rule.rebuilds}


def test_cameras_that_differ_in_range_min_m_share_one_network(tmp_path, opened_backends):
    share, path = sharing_estimators(2), str(model(tmp_path))
    near, far = MonoSettings(model=path, range_min_m=0.1), MonoSettings(model=path, range_min_m=2.0)
    first, second = share(near, NO_LISTENER), share(far, NO_LISTENER)
    assert len(opened_backends) == 1
    first.close()
    assert opened_backends[0].times_closed == 0
    assert second.estimate(Frame(np.zeros((48, 64, 3), np.uint8), None)).values.shape == (48, 64)
    second.close()
    assert opened_backends[0].times_closed == 1
    share(near, NO_LISTENER).close()
    assert [backend.times_closed for backend in opened_backends] == [1, 1]


def test_a_replaced_estimator_is_closed_when_its_frame_is_done_and_not_before():
    maker = Maker(latency_s=0.3)
    swappable, errors = swappable_of(maker), []

    def work():
        try:
            process(swappable, A)
            assert maker.times_closed[0] == 1
            process(swappable, B)
        except Exception as error:
            errors.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    wait_for(lambda: maker.made[0].frames == 1)
    swappable._requested = estimator_key(B)
    swappable._load(B)  # as the loader thread does while the frame is estimated
    assert maker.times_closed == [0, 0]
    worker.join(5)
    assert not errors and maker.times_closed == [1, 0]
    swappable.close()
    assert maker.times_closed == [1, 1]


def test_the_old_estimator_is_used_until_the_new_one_is_loaded_and_is_then_closed():
    maker = Maker()
    maker.held['b'] = threading.Event()
    swappable = swappable_of(maker)
    assert process(swappable, B) == 'a' and maker.times_closed == [0]
    maker.held['b'].set()
    wait_for(lambda: process(swappable, B) == 'b')
    assert maker.times_closed == [1, 0]


def test_an_estimator_that_is_no_longer_needed_when_it_is_loaded_is_closed():
    maker = Maker()
    maker.held = {'b': threading.Event(), 'c': threading.Event()}
    swappable = swappable_of(maker)
    process(swappable, B)
    process(swappable, C)
    maker.held['b'].set()
    wait_for(lambda: maker.times_closed == [0, 1])
    swappable.close()
    maker.held['c'].set()
    wait_for(lambda: maker.times_closed == [1, 1, 1])
    with pytest.raises(EstimatorError, match='no longer uses'):
        process(swappable, C)


def test_renewing_closes_first_and_a_failure_to_renew_closes_nothing_twice():
    maker = Maker()
    swappable = swappable_of(maker)
    swappable.renew()
    maker.refused.add('a')
    for _ in range(3):
        with pytest.raises(InferenceError, match='refused'):
            process(swappable, A)
    assert maker.times_closed == [1]
    maker.refused.clear()
    assert process(swappable, A) == 'a' and maker.times_closed == [1, 0]
    swappable.close()
    assert maker.times_closed == [1, 1]


def test_closing_during_a_frame_closes_the_estimator_when_the_frame_ends():
    maker = Maker(latency_s=0.3)
    swappable = swappable_of(maker)
    worker = threading.Thread(target=lambda: process(swappable, A))
    worker.start()
    wait_for(lambda: maker.made[0].frames == 1)
    swappable.close()
    assert maker.times_closed == [0]
    worker.join(5)
    assert maker.times_closed == [1]


def test_a_network_that_is_refused_after_its_file_was_opened_is_closed(tmp_path, opened_backends):
    with pytest.raises(ModelMismatch):
        mono_estimator(MonoSettings(model=str(model(tmp_path, STEREO))))
    with pytest.raises(ModelMismatch):
        stereo_estimator(StereoSettings(model=str(model(tmp_path))))
    assert [backend.times_closed for backend in opened_backends] == [1, 1]
    manifest, _ = find_manifest('depth-anything-v2-metric-indoor-small')
    failing = scene_runtime(manifest, (64, 48), fail_at=lambda n: True)
    with pytest.raises(InferenceError):
        MonoNetwork(manifest, failing)
    assert failing.times_closed == 1


def test_a_reference_that_is_missing_is_noticed_before_a_file_is_opened(tmp_path, opened_backends):
    path = model(tmp_path)
    path.write_text(path.read_text().replace('dynamic: true', 'dynamic: true, reference: none.npz'))
    with pytest.raises(ModelLoadError, match='none.npz'):
        mono_estimator(MonoSettings(model=str(path)))
    assert not opened_backends


def test_a_network_is_prepared_for_as_many_frames_at_once_as_there_are_cameras(tmp_path):
    settings = MonoSettings(model=str(with_free_batch(model(tmp_path / 'free'))))
    fixed = MonoSettings(model=str(model(tmp_path / 'fixed')))
    assert [mono_estimator(settings, cameras=n).largest_batch for n in (1, 3, 8, 20)] == [1, 3, 8, 8]
    assert mono_estimator(fixed, cameras=3).largest_batch == 1
