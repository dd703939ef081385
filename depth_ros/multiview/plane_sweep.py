"""Depth from a moving camera without a network: plane sweep with semi-global aggregation. docs/multiview.md."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from depth_ros.errors import EstimatorError
from depth_ros.multiview.depth_refinement import SourceGradients, refined
from depth_ros.multiview.keyframes import scene_depth_m
from depth_ros.multiview.matching_cost import MARGIN_ROWS, as_bytes, cost_volume, normalised
from depth_ros.multiview.path_aggregation import aggregate, best_planes, uniqueness
from depth_ros.multiview.plane_warp import projection
from depth_ros.multiview.pose_refinement import refined_motion
from depth_ros.multiview.sweep_confidence import CheckedSource, Evidence, confidence, evidence
from depth_ros.multiview.view_geometry import source_from_reference
from depth_ros.stages.decode_image import as_grey
from depth_ros.types import Camera, DepthEstimate, Float32Array, Float64Array, UInt8Array, View

_MAX_PIXELS = 320 * 240
"""Larger images are reduced to this size."""
_COST_WINDOW, _REFINEMENT_WINDOW = 11, 9
_COARSE_STEPS, _FINE_STEPS = 2, 1


class PlaneSweep:
    """Estimates depth from images with known poses by plane sweep.

    Args:
        range_min_m: Smallest depth that is searched.
        range_max_m: Largest depth that is searched.
        planes: Number of depths that are compared, in equal steps of inverse depth.
        lowest_confidence: Pixels with a lower confidence are unknown.
        refine_poses: Whether the relative poses are corrected by tracked corners, within the noise of odometry.
    """

    name = 'plane sweep (CPU)'

    def __init__(
        self,
        range_min_m: float = 0.4,
        range_max_m: float = 20.0,
        planes: int = 64,
        lowest_confidence: float = 0.5,
        refine_poses: bool = True,
    ) -> None:
        self._planes = np.linspace(1 / range_max_m, 1 / range_min_m, planes, dtype=np.float32)
        self._lowest_confidence = lowest_confidence
        self._refine_poses = refine_poses

    def estimate(self, reference: View, sources: Sequence[View]) -> DepthEstimate:
        """Return the depth of the reference; NaN where it was not measured.

        Raises:
            EstimatorError: there is no source, or a pose is not finite.
        """
        if not sources:
            raise EstimatorError('plane_sweep requires at least one source; got none')
        if not all(np.isfinite(view.pose).all() for view in (reference, *sources)):
            raise EstimatorError('a pose contains NaN or Inf; expected finite poses')
        height, width = reference.image.shape[:2]
        inverse_depth, found = self.measured(reference, sources)
        sure = confidence(found)
        depth_m = np.where(sure >= self._lowest_confidence, 1 / inverse_depth, np.float32(np.nan))
        sure[sure < self._lowest_confidence] = 0
        if depth_m.shape != (height, width):
            depth_m, sure = (
                np.asarray(cv2.resize(each, (width, height), interpolation=cv2.INTER_NEAREST))
                for each in (depth_m, sure)
            )
        return DepthEstimate(depth_m.astype(np.float32), 'metric_depth', sure)

    def cancel(self) -> None:
        """Do nothing: an estimate cannot be interrupted and takes only a fraction of a second."""

    def close(self) -> None:
        """Do nothing: no resources are kept between frames."""

    def measured(self, reference: View, sources: Sequence[View]) -> tuple[Float32Array, Evidence]:
        """Return the inverse depth of every pixel, right or wrong, at the size that is processed, and its evidence."""
        base = _Reduced.of(reference)
        others = [_Reduced.of(source) for source in sources]
        motions = [source_from_reference(reference, source) for source in sources]
        if self._refine_poses:
            depth_m = scene_depth_m(sources)
            motions = [
                refined_motion(base.grey, other.grey, base.camera, other.camera, motion, depth_m)
                for other, motion in zip(others, motions, strict=True)
            ]
        inverse_depth, unique = self._coarse(base.half(), [other.half() for other in others], motions)
        inverse_depth, unique = (
            np.asarray(cv2.resize(each, base.grey.shape[::-1], interpolation=cv2.INTER_NEAREST))
            for each in (inverse_depth, unique)
        )
        inverse_depth = self._refined(base, others, motions, inverse_depth, _FINE_STEPS)
        checked = [
            CheckedSource(other.grey.astype(np.float32), projection(base.camera, other.camera, motion), other.depth_m)
            for other, motion in zip(others, motions, strict=True)
        ]
        return inverse_depth, evidence(base.grey.astype(np.float32), checked, inverse_depth, unique)

    def _coarse(
        self, base: '_Reduced', others: Sequence['_Reduced'], motions: Sequence[Float64Array]
    ) -> tuple[Float32Array, Float32Array]:
        """Return the inverse depth by semi-global aggregation, refined between the planes, and its uniqueness."""
        reference, *images = (
            as_bytes(normalised(each.grey.astype(np.float32), _COST_WINDOW)) for each in (base, *others)
        )
        projections = [
            projection(base.camera, other.camera, motion, MARGIN_ROWS)
            for other, motion in zip(others, motions, strict=True)
        ]
        total = aggregate(cost_volume(reference, list(zip(images, projections, strict=True)), self._planes))
        inverse_depth = self._planes[0] + best_planes(total) * self._step
        return self._refined(base, others, motions, inverse_depth, _COARSE_STEPS), uniqueness(total)

    def _refined(
        self,
        base: '_Reduced',
        others: Sequence['_Reduced'],
        motions: Sequence[Float64Array],
        inverse_depth: Float32Array,
        steps: int,
    ) -> Float32Array:
        reference, *images = (normalised(each.grey.astype(np.float32), _REFINEMENT_WINDOW) for each in (base, *others))
        sources = [
            SourceGradients.of(image, projection(base.camera, other.camera, motion))
            for image, other, motion in zip(images, others, motions, strict=True)
        ]
        better = refined(reference, sources, inverse_depth, self._step, steps)
        return np.clip(better, self._planes[0], self._planes[-1])

    @property
    def _step(self) -> float:
        return float(self._planes[1] - self._planes[0])


@dataclass(frozen=True)
class _Reduced:
    """A view at the size at which it is processed."""

    grey: UInt8Array
    camera: Camera
    depth_m: Float32Array | None

    @classmethod
    def of(cls, view: View) -> '_Reduced':
        height, width = view.image.shape[:2]
        scale = min(math.sqrt(_MAX_PIXELS / (width * height)), 1.0)
        whole = cls(as_grey(view.image), view.camera.resized(width, height), view.depth_m)
        return whole if scale == 1 else whole.resized(round(width * scale), round(height * scale))

    def half(self) -> '_Reduced':
        height, width = self.grey.shape
        return self.resized(max(width // 2, 1), max(height // 2, 1))

    def resized(self, width: int, height: int) -> '_Reduced':
        grey = cv2.resize(self.grey, (width, height), interpolation=cv2.INTER_AREA)
        depth_m = self.depth_m
        if depth_m is not None:
            depth_m = cv2.resize(depth_m, (width, height), interpolation=cv2.INTER_NEAREST)
        return _Reduced(np.asarray(grey), self.camera.resized(width, height), depth_m)
