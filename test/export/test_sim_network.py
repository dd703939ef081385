"""The network of the package, in worlds that were not used for training."""

import functools
from pathlib import Path

import numpy as np
import pytest

from depth_ros.errors import ModelError
from depth_ros.evaluation.depth_metrics import depth_accuracy
from depth_ros.networks.catalog import find_manifest
from depth_ros.pipeline import mono_estimator
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.sim.render import RobotMount, render
from depth_ros.sim.world import make_world
from depth_ros.types import Camera, Frame

world_of = functools.cache(make_world)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('width', 'height', 'focal', 'worlds'), [(320, 240, 256.0, 10), (640, 480, 450.0, 5), (320, 240, 350.0, 10)]
)
def test_it_gives_metres_in_worlds_and_with_focal_lengths_that_are_not_in_the_training_set(
    width, height, focal, worlds, record_property
):
    network = mono_estimator(MonoSettings(model='sim-indoor', allow_simulator_model=True))
    camera = Camera(width, height, focal, focal, width / 2 - 0.5, height / 2 - 0.5)
    each = []
    for seed in range(500, 500 + worlds):  # training starts at 1000
        world = world_of(seed)
        for time_s in (3.0, 18.0):
            image, truth = render(world, world.pose_at(time_s), RobotMount(0.5), camera)
            found = network.estimate(Frame(image, camera))
            assert found.space == 'metric_depth'
            each.append(depth_accuracy(found.values, truth))
    abs_rel, delta1 = (float(np.mean([getattr(a, name) for a in each])) for name in ('abs_rel', 'delta1'))
    record_property('abs_rel', abs_rel)
    record_property('delta1', delta1)
    print(f'{width}x{height}, f {focal:g} px: AbsRel {abs_rel:.3f}, delta1 {delta1:.3f}')
    assert abs_rel <= 0.15
    assert delta1 >= 0.85


def test_it_is_small_and_has_a_caution():
    manifest, folder = find_manifest('sim-indoor')
    assert isinstance(manifest.artifact.file, str)
    assert (Path(folder) / manifest.artifact.file).stat().st_size <= 1.5e6
    assert 'is invalid' in manifest.caution and manifest.simulator_only


def test_it_is_refused_unless_it_is_allowed_explicitly():
    with pytest.raises(ModelError, match='allow_simulator_model: true'):
        mono_estimator(MonoSettings(model='sim-indoor'))
