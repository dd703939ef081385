"""What is kept between frames is discarded when another network estimates them."""

import numpy as np
import pytest

from depth_ros.scale.reference_points import ReferencePoints
from depth_ros.scale.scaler import Scaler
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.types import Camera, DepthEstimate, Frame

CAMERA = Camera(64, 48, 60.0, 60.0, 32.0, 24.0)
SETTINGS = MonoSettings(scale_source='reference')


def test_the_scale_of_one_network_is_not_applied_to_another():
    x, y = np.meshgrid(np.linspace(-1.5, 1.5, 8), np.linspace(-1.0, 1.0, 8))
    points_m = np.stack([x, y, np.full_like(x, 4.0)], axis=-1).reshape(-1, 3).astype(np.float32)
    scaler, stamp_ns = Scaler(), 0

    def status(value, source):
        nonlocal stamp_ns
        stamp_ns += 100_000_000
        scaler.add_reference(ReferencePoints(points_m, stamp_ns, 'camera'))
        estimate = DepthEstimate(np.full((48, 64), value, np.float32), 'relative_depth', None, ('scale',), source)
        return scaler.update(estimate, Frame(np.zeros((48, 64), np.uint8), CAMERA, stamp_ns, 'camera'), SETTINGS)

    first = [status(2.0, 'large') for _ in range(3)]
    assert first[-1].scale.scale == pytest.approx(2.0)
    second = [status(1.0, 'small') for _ in range(3)]
    assert second[0].scale is None and second[-1].scale.scale == pytest.approx(4.0)
