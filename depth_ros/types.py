"""Values that are passed between the stages: frozen, with units and shapes.

A stage never writes to an array that it received. In pixel coordinates, the centre of the upper left pixel is at
(0, 0), as in OpenCV and REP 104.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]


@dataclass(frozen=True)
class Camera:
    """Pinhole intrinsics of one rectified image, at the size of that image."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    fx: float
    """Focal length along x, pixels; positive."""
    fy: float
    """Focal length along y, pixels; positive."""
    cx: float
    """Principal point, pixels from the centre of the left column."""
    cy: float
    """Principal point, pixels from the centre of the upper row."""

    def resized(self, width: int, height: int) -> 'Camera':
        """Return the intrinsics after resizing the whole image to (width, height)."""
        sx, sy = width / self.width, height / self.height
        return Camera(
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
        )


@dataclass(frozen=True)
class Calibration:
    """A camera's calibration as given by sensor_msgs/CameraInfo (REP 104), not validated.

    ``k``, ``r`` and ``p`` are row-major and belong to the full image of ``width`` x ``height``, before binning and
    region of interest.
    """

    width: int
    height: int
    k: tuple[float, ...]
    """3x3 intrinsics of the raw image; k[0] == 0 means uncalibrated."""
    p: tuple[float, ...]
    """3x4 projection of the rectified image; p[3] = -fx * baseline for the right camera of a pair."""
    d: tuple[float, ...] = ()
    """Distortion coefficients of the raw image."""
    r: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    """3x3 rectifying rotation."""
    distortion_model: str = 'plumb_bob'
    binning: tuple[int, int] = (1, 1)
    """Full pixels per image pixel along x and y."""
    roi: tuple[int, int, int, int] | None = None
    """Region of interest (x, y, width, height) in the full image; None = the full image."""
    frame_id: str = ''


@dataclass(frozen=True)
class StereoRig:
    """Geometry of a rectified pair: both images have the same rows and focal lengths."""

    left: Camera
    right_cx: float
    """Principal point of the right image along x, pixels; may differ from that of the left image."""
    baseline_m: float
    """Distance between the optical centres, metres; positive."""

    @property
    def offset_px(self) -> float:
        """Raw disparity of a point at infinity, ``cx_left - cx_right``; subtract it before ``z = fx * B / d``."""
        return self.left.cx - self.right_cx

    @property
    def right(self) -> Camera:
        """Intrinsics of the right image."""
        return replace(self.left, cx=self.right_cx)

    def resized(self, width: int, height: int) -> 'StereoRig':
        """Return the geometry of the pair after a resize of both images."""
        right_cx = self.right.resized(width, height).cx
        return StereoRig(self.left.resized(width, height), right_cx, self.baseline_m)


@dataclass(frozen=True)
class RowShift:
    """Vertical disparity that is left in a rectified pair, as a linear function of the position.

    A point in row y of the left image is in row ``y + offset_px + over_x * (x - cx) + over_y * (y - cy)`` of the right
    image, at its column x; (cx, cy) is the principal point of the right image. All zero = the rows match.
    """

    offset_px: float
    """Shift at the principal point, pixels; positive = downwards in the right image."""
    over_x: float
    """Change per pixel to the right; the roll of the right camera, radians, positive = clockwise in the image."""
    over_y: float
    """Change per pixel downwards; relative difference of the vertical scales."""

    def resized(self, scale: float) -> 'RowShift':
        """Return the shift after a resize of both images."""
        return replace(self, offset_px=self.offset_px * scale)

    def plus(self, other: 'RowShift') -> 'RowShift':
        """Return the sum of two small shifts."""
        return RowShift(self.offset_px + other.offset_px, self.over_x + other.over_x, self.over_y + other.over_y)

    def times(self, factor: float) -> 'RowShift':
        """Return the shift multiplied by a factor."""
        return RowShift(self.offset_px * factor, self.over_x * factor, self.over_y * factor)

    def rms_px(self, right: Camera) -> float:
        """Return the root mean square of the shift over the right image, pixels."""
        centre_x, centre_y = (right.width - 1) / 2 - right.cx, (right.height - 1) / 2 - right.cy
        mean = self.offset_px + self.over_x * centre_x + self.over_y * centre_y
        slopes = (self.over_x * right.width) ** 2 + (self.over_y * right.height) ** 2
        return float((mean**2 + slopes / 12) ** 0.5)


@dataclass(frozen=True)
class StereoFrame:
    """A rectified pair, taken at the same time."""

    left: UInt8Array
    """(H, W) grey or (H, W, 3) RGB."""
    right: UInt8Array
    """Same size as ``left``; may be grey where ``left`` is RGB."""
    rig: StereoRig
    stamp_ns: int = 0
    """Acquisition time of the left image, nanoseconds."""
    frame_id: str = ''
    """Optical frame of the left camera."""
    row_shift: RowShift | None = None
    """Shift of the rows that has been removed from ``right``, in pixels of this frame; None = none."""


@dataclass(frozen=True)
class Frame:
    """One image."""

    image: UInt8Array
    """(H, W) grey or (H, W, 3) RGB."""
    camera: Camera | None
    """Intrinsics of ``image``; None if no camera_info was received."""
    stamp_ns: int = 0
    frame_id: str = ''
    prompt_m: Float32Array | None = None
    """(h, w) depth along the optical axis, metres, measured by another sensor for the whole image at any size; NaN =
    unknown. Only for networks that take such a prompt."""


@dataclass(frozen=True)
class View:
    """One rectified image of a moving camera, and the pose from which it was taken."""

    image: UInt8Array
    """(H, W) grey or (H, W, 3) RGB."""
    camera: Camera
    """Intrinsics of ``image``."""
    pose: Float64Array
    """(4, 4) pose of the optical frame in a frame that does not move; metres."""
    stamp_ns: int = 0
    """Acquisition time, nanoseconds."""
    frame_id: str = ''
    """Optical frame of the camera."""
    depth_m: Float32Array | None = None
    """(H, W) depth that was estimated for this view earlier, NaN = unknown; None if it was not estimated."""


Space = Literal['metric_depth', 'relative_depth', 'relative_inverse_depth', 'nearness']
"""Meaning of depth values: metres, or depth or inverse depth up to an unknown scale (and shift), or nearness: inverse
depth that was scaled to 0 … 1 for display."""


@dataclass(frozen=True)
class DepthEstimate:
    """Result of a mono estimator."""

    values: Float32Array
    """(H, W) in ``space``; NaN = unknown, +Inf = sky."""
    space: Space
    confidence: Float32Array | None
    """(H, W) in [0, 1], or None."""
    lacks: tuple[str, ...] = ()
    """What is missing for metres (entries of ``needs`` in the manifest); empty if the values are metres."""
    source: str = ''
    """Network that made the estimate; maps of different sources are not smoothed or scaled together."""


@dataclass(frozen=True)
class RawDisparity:
    """Result of a stereo estimator, in pixels of the frame."""

    disparity_px: Float32Array
    """(H, W) raw disparity ``x_left - x_right``; NaN = unknown."""
    confidence: Float32Array | None
    """(H, W) in [0, 1], 0 where unknown; None if the estimator gives none."""
    min_px: float
    """Smallest raw disparity that was searched."""
    max_px: float
    """Largest raw disparity that was searched."""
    source: str = ''
    """Matcher or network; as in ``DepthEstimate``."""


@dataclass(frozen=True)
class Disparity:
    """Disparity after subtracting the offset of the principal points: ``z = fx * baseline_m / disparity_px``."""

    disparity_px: Float32Array
    """(H, W); NaN = unknown."""
    fx: float
    baseline_m: float
    min_px: float
    max_px: float


@dataclass(frozen=True)
class DepthMap:
    """Metric depth of every pixel of one image."""

    depth_m: Float32Array
    """(H, W) depth along the optical axis, metres. NaN = unknown, +Inf = beyond range, -Inf = too close (REP 117)."""
    camera: Camera | None
    """Intrinsics of this map, at the size of ``depth_m``; None if no camera_info was received."""
    confidence: Float32Array | None
    """(H, W) in [0, 1]; None if the estimator gives none."""
    disparity: Disparity | None
    """The disparity that the depth was computed from; None for mono estimators."""
    image: UInt8Array
    """(H, W) grey or (H, W, 3) RGB image of the same size that the depth belongs to."""
    stamp_ns: int = 0
    frame_id: str = ''
    source: str = ''
    """Matcher or network; as in ``DepthEstimate``."""


@dataclass(frozen=True)
class RelativeMap:
    """Depth that is not in metres."""

    values: Float32Array
    """(H, W); larger is farther if ``space`` is relative_depth or metric_depth, otherwise nearer. NaN = unknown, +Inf =
    sky; the nearness of sky is 0."""
    space: Space
    missing_for_metres: str
    """Why the values are not metres, and what to do about it."""
    stamp_ns: int = 0
    frame_id: str = ''
    shift_known: bool = True
    """Whether relative_depth is proportional to depth; if not, an unknown shift is added to it."""
    nearness: Float32Array | None = None
    """(H, W) in [0, 1], larger = nearer, NaN = unknown; None until ``RelativeScaler`` has computed it."""
    source: str = ''
    """Network; as in ``DepthEstimate``."""


@dataclass(frozen=True)
class Cloud:
    """Points in the optical frame of the camera: x right, y down, z forward, metres."""

    points: Float32Array
    """(H, W, C) organized, NaN where unknown; or (N, C) dense, all finite. C = 3 (x y z) or 4 (x y z rgb).

    ``rgb`` holds the bits of ``0x00RRGGBB``, as packed by PCL; read it through an integer view.
    """
    stamp_ns: int = 0
    frame_id: str = ''

    @property
    def organized(self) -> bool:
        """Whether the points keep the grid of the image."""
        return self.points.ndim == 3
