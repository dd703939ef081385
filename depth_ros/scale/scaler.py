"""The scale of one camera: compares predictions with measurements of other sensors and tracks the result."""

import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from depth_ros.estimators.estimator import MonoEstimator
from depth_ros.scale.ground_fit import down_from_pitch, fit_ground
from depth_ros.scale.motion_reference import MotionReference
from depth_ros.scale.prompt import PromptSource
from depth_ros.scale.reference_points import ReferencePoints, known_pixels
from depth_ros.scale.scale_fit import Law, Scale, ScaleFit, fit, law_of
from depth_ros.scale.scale_tracker import UNKNOWN, ScaleStatus, ScaleTracker
from depth_ros.scale.sensor_pose import Transform, no_transform, sensor_pose
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.types import Camera, DepthEstimate, Float32Array, Frame

_MAX_COUNT = 15
_PROBES = 64
_MIN_PIXELS: dict[Law, int] = {'factor': 5, 'affine': 12, 'inverse_affine': 12}
_MIN_AGREEING = 0.4


@dataclass(frozen=True)
class _Prediction:
    """A recent prediction with its frame."""

    values: Float32Array
    camera: Camera
    frame_id: str
    stamp_ns: int


class ScaleSource(Protocol):
    """Gives predictions their scale."""

    def update(self, estimate: DepthEstimate, frame: Frame, settings: MonoSettings) -> ScaleStatus:
        """Return the scale of a prediction."""
        ...


class Scaler:
    """Tracks the scale of the predictions of one camera.

    References may arrive late: each is compared with the prediction of its own stamp; the most recent ones are kept.

    Args:
        transform: Looks up the pose of a sensor where ``scale.extrinsics`` is not set.
    """

    def __init__(self, transform: Transform = lambda target, source, stamp_ns: None) -> None:
        self.transform = transform
        self.motion: MotionReference | None = None
        """Measures the references of ``scale.source: motion``."""
        self._lock = threading.Lock()
        self._references: deque[ReferencePoints] = deque(maxlen=_MAX_COUNT)
        self._down: tuple[Float32Array, str] | None = None
        self._recent: deque[_Prediction] = deque(maxlen=_MAX_COUNT)
        self._tracker: ScaleTracker | None = None
        self._source = ''
        """Network of the newest prediction; another one has another scale."""
        self._newest_reference_ns: int | None = None
        self.status = UNKNOWN
        """State at the newest prediction."""
        self.prompts = PromptSource(transform)
        """The same measurements as an input of networks that take one; they need no scale."""

    def add_reference(self, reference: ReferencePoints) -> None:
        """Add a measurement of another sensor; thread-safe."""
        self.prompts.add(reference)
        with self._lock:
            if self._references and reference.stamp_ns < self._references[-1].stamp_ns:
                self._references.clear()  # time jumped back
            self._references.append(reference)
            self._newest_reference_ns = reference.stamp_ns

    def set_down(self, down: Float32Array, frame_id: str) -> None:
        """Set the direction of gravity in the frame of an IMU; thread-safe."""
        with self._lock:
            self._down = (down, frame_id)

    def reset(self) -> None:
        """Discard the scale; thread-safe."""
        with self._lock:
            self._tracker = None
            self._references.clear()
            self.status = UNKNOWN

    def update(self, estimate: DepthEstimate, frame: Frame, settings: MonoSettings) -> ScaleStatus:
        """Update the scale with a prediction; return its state, which is also kept as ``status``."""
        self.status = self._updated(estimate, frame, settings)
        return self.status

    def _updated(self, estimate: DepthEstimate, frame: Frame, settings: MonoSettings) -> ScaleStatus:
        law = law_of(estimate.space, estimate.lacks)
        if settings.scale_source == 'fixed':
            shift = 0.0 if law == 'factor' else settings.scale_fixed_shift
            return ScaleStatus('tracking', Scale(law, settings.scale_fixed_scale, shift), age_s=0.0)
        other_network, self._source = estimate.source != self._source, estimate.source
        if other_network:
            self._recent.clear()
        with self._lock:
            if self._tracker is None or self._tracker.law != law or other_network:
                self._tracker = ScaleTracker(law)
            tracker = self._tracker
        fitted, why = self._fit(law, estimate.values, frame, settings)
        return tracker.update(fitted, why, _probes(estimate.values), frame.stamp_ns, settings.scale_hold_s)

    def _fit(self, law: Law, values: Float32Array, frame: Frame, settings: MonoSettings) -> tuple[ScaleFit | None, str]:
        if frame.camera is None:
            return None, 'no camera_info received, so reference points cannot be projected: publish camera_info'
        prediction = _Prediction(values, frame.camera, frame.frame_id, frame.stamp_ns)
        if settings.scale_source == 'ground':
            return self._fit_ground(law, prediction, settings)
        if self._recent and prediction.stamp_ns < self._recent[-1].stamp_ns:
            self._recent.clear()
        self._recent.append(prediction)
        if self.motion is None:
            return self._fit_reference(law, settings)
        reference = self.motion.add(frame)
        if reference is not None:
            self.add_reference(reference)
        fitted, why = self._fit_reference(law, settings)
        return fitted, self.motion.why or why

    def _fit_ground(self, law: Law, prediction: _Prediction, settings: MonoSettings) -> tuple[ScaleFit | None, str]:
        down = down_from_pitch(settings.camera_pitch_rad)
        if settings.scale_imu:
            with self._lock:
                measured = self._down
            if measured is None:
                return None, 'no IMU message received: publish imu, or set scale.imu: false and camera_pitch_rad'
            pose = sensor_pose(measured[1], prediction.frame_id, prediction.stamp_ns, settings, self.transform)
            if pose is None:
                return None, no_transform(prediction.frame_id, measured[1])
            down = pose[:3, :3] @ measured[0]
        fitted = fit_ground(law, prediction.values, prediction.camera, settings.camera_height_m, down)
        return fitted, '' if fitted else 'no floor is visible'

    def _fit_reference(self, law: Law, settings: MonoSettings) -> tuple[ScaleFit | None, str]:
        matched = self._match(settings.scale_max_skew_ms * 1e6)
        if isinstance(matched, str):
            return None, matched
        reference, prediction = matched
        pose: Float32Array | None = np.eye(4, dtype=np.float32)  # of points that the camera itself has measured
        if self.motion is None:
            pose = sensor_pose(reference.frame_id, prediction.frame_id, prediction.stamp_ns, settings, self.transform)
        if pose is None:
            return None, no_transform(prediction.frame_id, reference.frame_id)
        known = known_pixels(reference.points_m, prediction.camera, pose)
        if known.depth_m.size < _MIN_PIXELS[law]:
            return None, (
                f'{known.depth_m.size} of {len(reference.points_m)} reference points are inside the image; expected at '
                f'least {_MIN_PIXELS[law]}. Check that the fields of view overlap, and scale.extrinsics or tf'
            )
        fitted = fit(law, prediction.values[known.rows, known.columns], known.depth_m)
        if fitted is None or fitted.inlier_share < _MIN_AGREEING:
            share = 0.0 if fitted is None else fitted.inlier_share
            return None, (
                f'{share:.0%} of {known.depth_m.size} reference points agree on a scale; expected '
                f'{_MIN_AGREEING:.0%}. Check scale.extrinsics or tf, and the stamps; fitting scale and '
                'shift requires points at several depths'
            )
        return fitted, ''

    def _match(self, skew_ns: float) -> tuple[ReferencePoints, _Prediction] | str:
        """Return the newest unused reference with the prediction of its stamp, or why there is none."""
        with self._lock:
            waiting, newest_ns = list(self._references), self._newest_reference_ns
        if newest_ns is None:
            return 'no reference received: publish scale/reference, of the type scale.reference_type'
        for reference in reversed(waiting):
            prediction = min(self._recent, key=lambda each: abs(each.stamp_ns - reference.stamp_ns))
            if abs(prediction.stamp_ns - reference.stamp_ns) <= skew_ns:
                with self._lock:
                    while self._references and self._references[0].stamp_ns <= reference.stamp_ns:
                        self._references.popleft()
                return reference, prediction
        apart_s = (self._recent[-1].stamp_ns - newest_ns) / 1e9
        if abs(apart_s) * 1e9 <= skew_ns:
            return 'no new reference received'
        return (
            f'the newest reference is {abs(apart_s):.2f} s {"older" if apart_s > 0 else "newer"} than the image, more '
            'than scale.max_skew_ms. Check that both clocks are synchronised'
        )


def with_prompt(
    frame: Frame, estimator: MonoEstimator, scaler: Scaler | None, settings: MonoSettings
) -> tuple[Frame, Scaler | None]:
    """Return the frame with its prompt and no scaler, if the network takes a prompt; otherwise both unchanged.

    The depth of such a network is metric: the measurements are an input of the network, and no scale is fitted to them.

    Raises:
        MissingPrompt: there is no measured depth for this image.
    """
    size = getattr(estimator, 'prompt_size', None)
    if size is None or scaler is None:
        return frame, scaler
    return replace(frame, prompt_m=scaler.prompts.prompt_m(frame, size, settings)), None


def _probes(values: Float32Array) -> Float32Array:
    """Return a sample of the predicted values, spread over the image."""
    rows, columns = values.shape
    some: Float32Array = values[:: max(rows // 8, 1), :: max(columns // 8, 1)].reshape(-1)[:_PROBES]
    return some
