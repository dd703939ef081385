"""Measurement of the shift between the rows of a rectified pair.

Corners of the left image are tracked into the right one by the pyramidal method of Lucas and Kanade (B. D. Lucas,
T. Kanade, "An iterative image registration technique", IJCAI 1981), from the disparities of a strongly reduced copy,
in which a shift of the rows is only a fraction of a pixel. A linear function is fitted to the vertical distances.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.errors import EstimatorError
from depth_ros.stages.align_rows import align_rows, is_negligible
from depth_ros.stages.decode_image import as_grey
from depth_ros.stereo.semi_global_matching import SemiGlobalMatching
from depth_ros.types import AnyArray, Camera, Float32Array, RowShift, StereoFrame, UInt8Array

_TRACKED_WIDTH_PX, _MATCHED_WIDTH_PX = 800, 120
"""Widths of the copies in which corners are tracked, and from whose disparities tracking starts."""
_CORNERS, _CORNER_QUALITY = 300, 0.01
_WINDOW_PX, _LEVELS, _ITERATIONS = 15, 2, 20
_LARGEST_DETOUR_PX = 0.3
"""Largest distance between a corner and its position after tracking to the right image and back."""
_MIN_SIDE_PX = 64
_MIN_MATCHES, _MIN_SHARE = 30, 0.5
"""Smallest number of matches that agree with the fit, and their smallest share of all matches."""
_MAX_SCATTER_PX, _MAX_UNCERTAINTY_PX = 0.5, 0.15
"""Largest scatter of the matches, and largest standard error of the fit in a corner of the image."""
_MIN_UNCERTAIN_SCATTER_PX = 0.1
"""Smallest scatter that is assumed for the standard error, because errors of neighbouring matches are similar."""
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RowMeasurement:
    """Result of one measurement."""

    shift: RowShift | None
    """Shift of the rows of the right image, in pixels of the frame; None if it could not be measured."""
    matches: int = 0
    """Number of matches that the shift was fitted to."""
    scatter_px: float = 0.0
    """Scatter of the matches around the fit, as a standard deviation."""
    why: str = ''
    """Why there is no shift; empty if there is one."""


def measure_rows(frame: StereoFrame) -> RowMeasurement:
    """Measure the shift between the rows of a pair, up to about 2 % of the image width.

    Brightness and contrast of the images may differ.
    """
    height, width = frame.left.shape[:2]
    if min(height, width) < _MIN_SIDE_PX:
        return RowMeasurement(None, why=f'the images are smaller than {_MIN_SIDE_PX} px')
    scale = min(_TRACKED_WIDTH_PX / width, 1.0)
    size = (round(width * scale), round(height * scale))
    grey = [_reduced(as_grey(image), size) for image in (frame.left, frame.right)]
    left, right = (_normalized(image) for image in grey)
    distance_px = max(size[0] // 80, 4)
    corners = cv2.goodFeaturesToTrack(left, _CORNERS, _CORNER_QUALITY, distance_px)
    if corners is None or len(corners) < _MIN_MATCHES:
        return _too_few(0 if corners is None else len(corners))
    try:
        start, positions = _tracking_start(StereoFrame(grey[0], grey[1], frame.rig.resized(*size)), corners[:, 0])
        found, tracked = _tracked(left, right, start, positions)
    except (EstimatorError, cv2.error) as error:
        return RowMeasurement(None, why=f'the images cannot be matched: {error}')
    to_frame = np.array((width / size[0], height / size[1]))
    points, targets = ((each[tracked] + 0.5) * to_frame - 0.5 for each in (start.astype(float), found.astype(float)))
    if len(points) < _MIN_MATCHES:
        return _too_few(len(points))
    return _fitted(targets[:, 0], points[:, 1], targets[:, 1] - points[:, 1], frame.rig.right)


def with_aligned_rows(frame: StereoFrame) -> tuple[StereoFrame, str]:
    """Measure the rows of a pair that is not part of a sequence, and correct them if they do not match.

    Returns:
        The frame, and why its rows could not be measured; empty if they were.
    """
    shift = (measurement := measure_rows(frame)).shift
    if shift is None or is_negligible(shift, frame.rig.right):
        return frame, measurement.why
    return replace(frame, right=align_rows(frame.right, shift, frame.rig.right), row_shift=shift), ''


def _too_few(count: int) -> RowMeasurement:
    return RowMeasurement(
        None, count, why=f'{count} points of the scene could be tracked from left to right; expected {_MIN_MATCHES}'
    )


def _reduced(grey: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA)) if size != grey.shape[::-1] else grey


def _normalized(grey: UInt8Array) -> UInt8Array:
    """Return an image with the same mean and contrast everywhere, so that differences of exposure do not matter."""
    values, side = grey.astype(np.float32), (31, 31)
    mean, mean_square = cv2.boxFilter(values, -1, side), cv2.sqrBoxFilter(values, cv2.CV_32F, side)
    deviation = np.sqrt(np.maximum(mean_square - mean * mean, 0)) + np.float32(3)
    normalized: UInt8Array = np.clip((values - mean) / deviation * 45 + 128, 0, 255).astype(np.uint8)
    return normalized


def _tracking_start(frame: StereoFrame, corners: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Return the corners with a disparity in a reduced copy of the frame, and their positions in the right image.

    Raises:
        EstimatorError: the reduced copy cannot be matched.
    """
    height, width = frame.left.shape
    scale = min(_MATCHED_WIDTH_PX / width, 0.25)
    small = (max(round(width * scale), 32), max(round(height * scale), 32))
    rig = frame.rig.resized(*small)
    pair = StereoFrame(_reduced(frame.left, small), _reduced(frame.right, small), rig)
    matcher = SemiGlobalMatching('balanced', max_disparity_px=rig.offset_px + small[0] / 3)
    disparity_px = matcher.estimate(pair).disparity_px
    columns, rows = (corners[:, 0] * small[0] / width).astype(int), (corners[:, 1] * small[1] / height).astype(int)
    shift = disparity_px[rows, columns] * np.float32(width / small[0])
    known = np.isfinite(shift)
    start = corners[known]
    return start, start - np.stack((shift[known], np.zeros_like(shift[known])), axis=1)


def _tracked(
    left: UInt8Array, right: UInt8Array, start: Float32Array, positions: Float32Array
) -> tuple[Float32Array, npt.NDArray[np.bool_]]:
    """Return the positions of points in the right image, and which of them are found again in the left one."""
    if not len(start):
        return positions, np.zeros(0, np.bool_)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ITERATIONS, 0.01)

    def track(source: UInt8Array, target: UInt8Array, points: AnyArray, guess: AnyArray) -> tuple[AnyArray, AnyArray]:
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            source, target, points, guess.copy(), winSize=(_WINDOW_PX, _WINDOW_PX), maxLevel=_LEVELS,
            criteria=criteria, flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )  # fmt: skip
        return found, status.ravel() > 0

    found, forward = track(left, right, start, positions)
    returned, backward = track(right, left, found, found + start - positions)
    detour = np.linalg.norm(returned - start, axis=1)
    return found, forward & backward & (detour < _LARGEST_DETOUR_PX)


def _fitted(x: FloatArray, y: FloatArray, dy: FloatArray, right: Camera) -> RowMeasurement:
    """Fit the shift to the vertical distances of matches by iteratively reweighted least squares.

    The first iterations minimise absolute distances, the others use the weights of Tukey, which exclude outliers.
    """
    model = np.stack((np.ones_like(x), x - right.cx, y - right.cy), axis=1)
    weights = np.ones_like(x)
    for iteration in range(12):
        normal = (model * weights[:, None]).T @ model + 1e-6 * np.eye(3)
        fit = np.linalg.solve(normal, (model * weights[:, None]).T @ dy)
        residual = np.abs(dy - model @ fit)
        scatter = max(1.4826 * float(np.median(residual)), 0.02)
        robust = np.clip(1 - (residual / (4 * scatter)) ** 2, 0, 1) ** 2
        weights = 1 / np.maximum(residual, scatter) if iteration < 6 else robust
    agreeing = int((residual < 3 * scatter).sum())
    ends_x, ends_y = (0 - right.cx, right.width - 1 - right.cx), (0 - right.cy, right.height - 1 - right.cy)
    ends = np.array([(1.0, end_x, end_y) for end_x in ends_x for end_y in ends_y])
    uncertainty = max(scatter, _MIN_UNCERTAIN_SCATTER_PX) * float(
        np.sqrt(np.einsum('ij,jk,ik->i', ends, np.linalg.inv(normal), ends)).max()
    )
    if agreeing < max(_MIN_MATCHES, _MIN_SHARE * len(x)) or scatter > _MAX_SCATTER_PX:
        why = f'the vertical distances of {len(x)} matches scatter by {scatter:.2f} px around the fit'
        return RowMeasurement(None, agreeing, scatter, why)
    if uncertainty > _MAX_UNCERTAINTY_PX:
        why = f'{agreeing} matches determine the rows to {uncertainty:.2f} px only; expected {_MAX_UNCERTAINTY_PX:g} px'
        return RowMeasurement(None, agreeing, scatter, why)
    return RowMeasurement(RowShift(*(float(value) for value in fit)), agreeing, scatter)
