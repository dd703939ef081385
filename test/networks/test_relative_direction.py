"""The direction of depth/relative is the same for every shipped network, whatever its output means."""

from pathlib import Path

import numpy as np
import pytest
from models_scene import camera, scene_runtime, true_depth

from depth_ros.networks.input_placement import plan
from depth_ros.networks.manifest_reader import read_manifest
from depth_ros.networks.network_estimator import MonoNetwork
from depth_ros.pipeline import mono_depth_map
from depth_ros.scale.scale_tracker import UNKNOWN
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.stages.relative_scaling import RelativeScaler
from depth_ros.types import Frame

SIZE = (640, 480)
MANIFESTS = [read_manifest(path) for path in sorted((Path(__file__).parents[2] / 'config/models').glob('*.yaml'))]
INNER = np.s_[20:-20:9, 20:-20:9]


class NoScale:
    """A source that has no scale, so that metric networks give relative depth too."""

    def update(self, estimate, frame, settings):
        return UNKNOWN


MONO = [manifest for manifest in MANIFESTS if manifest.task == 'mono']
WITHOUT_RAYS = [each for each in MONO if all(tensor.role != 'unit_rays' for tensor in each.inputs)]
CASES = [(each, True) for each in MONO] + [(each, False) for each in WITHOUT_RAYS]


@pytest.mark.parametrize(('manifest', 'known_intrinsics'), CASES, ids=lambda value: getattr(value, 'id', str(value)))
def test_larger_is_nearer_for_every_mono_network_without_scale(manifest, known_intrinsics):
    fixed = None if manifest.artifact.dynamic else plan(manifest.preprocess, SIZE).size
    network = MonoNetwork(manifest, scene_runtime(manifest, SIZE, fixed=fixed))
    prompt_m = np.ones((4, 4), np.float32) if manifest.prompt_size else None
    image = np.zeros((*SIZE[::-1], 3), np.uint8)
    frame = Frame(image, camera(*SIZE) if known_intrinsics else None, prompt_m=prompt_m)
    relative = mono_depth_map(frame, network, MonoSettings(model='x'), NoScale())
    nearness, inverse = RelativeScaler().apply(relative, 'robust').values[INNER], 1 / true_depth(camera(*SIZE))[INNER]
    known = np.isfinite(nearness)
    assert known.mean() > 0.9
    assert 0 <= nearness[known].min() < 0.1 and 0.9 < nearness[known].max() <= 1
    assert np.corrcoef(nearness[known], inverse[known])[0, 1] > 0.98
