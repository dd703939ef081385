"""The prompt of a network that takes a measured depth as an input, from the measurements of another sensor."""

import threading
from collections import deque

import numpy as np

from depth_ros.errors import MissingPrompt
from depth_ros.scale.reference_points import ReferencePoints, known_pixels
from depth_ros.scale.sensor_pose import Transform, no_transform, sensor_pose
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.types import Float32Array, Frame

_MAX_COUNT = 15
_MIN_PIXELS = 12


class PromptSource:
    """Keeps the newest measurements of a sensor and projects them into the image.

    Args:
        transform: Looks up the pose of the sensor where ``scale.extrinsics`` is not set.
    """

    def __init__(self, transform: Transform) -> None:
        self._transform = transform
        self._lock = threading.Lock()
        self._references: deque[ReferencePoints] = deque(maxlen=_MAX_COUNT)
        self.values: dict[str, str] = {}
        """Properties of the newest prompt, by their key in /diagnostics."""

    def add(self, reference: ReferencePoints) -> None:
        """Add a measurement; thread-safe."""
        with self._lock:
            if self._references and reference.stamp_ns < self._references[-1].stamp_ns:
                self._references.clear()  # time jumped back
            self._references.append(reference)

    def prompt_m(self, frame: Frame, size: tuple[int, int], settings: MonoSettings) -> Float32Array:
        """Return the measured depth of an image as (height, width) metres along the optical axis; NaN = unknown.

        Of the measurements, the one whose stamp is closest to that of the image is used. Where several points fall on
        one pixel, it has the depth of the nearest one.

        Args:
            frame: The image.
            size: Width and height of the prompt.
            settings: Settings of the reference sensor: ``scale.extrinsics``, ``scale.max_skew_ms``.

        Raises:
            MissingPrompt: nothing was measured within ``scale.max_skew_ms``, the pose of the sensor or the intrinsics
                of the camera are unknown, or almost no point is inside the image.
        """
        try:
            depth_m, reference = self._projected(frame, size, settings)
        except MissingPrompt:
            self.values = {}
            raise
        measured = np.isfinite(depth_m)
        self.values = {
            'prompt.age_ms': f'{(frame.stamp_ns - reference.stamp_ns) / 1e6:.1f}',
            'prompt.measured_share': f'{measured.mean():.4f}',
        }
        return np.where(measured, depth_m, np.float32(np.nan))

    def _projected(
        self, frame: Frame, size: tuple[int, int], settings: MonoSettings
    ) -> tuple[Float32Array, ReferencePoints]:
        """Return the depth of the nearest point on every pixel, +Inf where there is none, and the measurement."""
        if frame.camera is None:
            raise MissingPrompt('no prompt depth: no camera_info received, so it cannot be projected: publish it')
        reference = self._closest(frame.stamp_ns, settings)
        pose = sensor_pose(reference.frame_id, frame.frame_id, frame.stamp_ns, settings, self._transform)
        if pose is None:
            raise MissingPrompt(f'no prompt depth: {no_transform(frame.frame_id, reference.frame_id)}')
        known = known_pixels(reference.points_m, frame.camera.resized(*size), pose)
        if known.depth_m.size < _MIN_PIXELS:
            raise MissingPrompt(
                f'no prompt depth: {known.depth_m.size} of {len(reference.points_m)} valid points of scale/reference '
                f'are inside the image; expected at least {_MIN_PIXELS}. Check that the fields of view overlap, and '
                'scale.extrinsics or tf'
            )
        depth_m = np.full(size[::-1], np.inf, np.float32)
        np.minimum.at(depth_m, (known.rows, known.columns), known.depth_m)
        return depth_m, reference

    def _closest(self, stamp_ns: int, settings: MonoSettings) -> ReferencePoints:
        with self._lock:
            references = list(self._references)
        if not references:
            raise MissingPrompt(
                'no prompt depth: nothing usable received on scale/reference; publish it, of the type '
                f'scale.reference_type: {settings.scale_reference_type}'
            )
        closest = min(references, key=lambda each: abs(each.stamp_ns - stamp_ns))
        apart_ms = (stamp_ns - closest.stamp_ns) / 1e6
        if abs(apart_ms) > settings.scale_max_skew_ms:
            raise MissingPrompt(
                f'no prompt depth: that of scale/reference is {abs(apart_ms) / 1e3:.2f} s '
                f'{"older" if apart_ms > 0 else "newer"} than the image, more than scale.max_skew_ms '
                f'({settings.scale_max_skew_ms:g} ms). Check that the sensor is running and that both clocks are '
                'synchronised'
            )
        return closest
