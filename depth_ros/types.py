"""What travels between the stages: frozen values with units and shapes.

Arrays are never written to by a stage that received them. Pixel coordinates have the centre of the upper left pixel at
(0, 0), as OpenCV and REP 104 have it.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
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
        """Return the intrinsics of this image after a resize to (width, height) that keeps the field of view."""
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
    """A camera's calibration as sensor_msgs/CameraInfo states it (REP 104), unchecked.

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
    """Region (x, y, width, height) of the full image that the image shows; None = all of it."""
    frame_id: str = ''


@dataclass(frozen=True)
class StereoRig:
    """Geometry of a rectified pair: the rows of both images match, and so do their focal lengths."""

    left: Camera
    right_cx: float
    """Principal point of the right image, pixels; may differ from the left's."""
    baseline_m: float
    """Distance between the optical centres, metres; positive."""

    @property
    def offset_px(self) -> float:
        """Raw disparity of a point at infinity, ``cx_left - cx_right``; subtract it before ``z = fx * B / d``."""
        return self.left.cx - self.right_cx

    def resized(self, width: int, height: int) -> 'StereoRig':
        """Return the geometry of the pair after a resize of both images."""
        right = replace(self.left, cx=self.right_cx).resized(width, height)
        return StereoRig(self.left.resized(width, height), right.cx, self.baseline_m)


@dataclass(frozen=True)
class StereoFrame:
    """A rectified pair that was taken at one instant."""

    left: UInt8Array
    """(H, W) grey or (H, W, 3) RGB."""
    right: UInt8Array
    """Same size as ``left``; may be grey where ``left`` is RGB."""
    rig: StereoRig
    stamp_ns: int = 0
    """Acquisition time of the left image, nanoseconds."""
    frame_id: str = ''
    """Optical frame of the left camera."""


@dataclass(frozen=True)
class Frame:
    """One picture."""

    image: UInt8Array
    """(H, W) grey or (H, W, 3) RGB."""
    camera: Camera | None
    """Intrinsics of ``image``; None while no camera_info has come."""
    stamp_ns: int = 0
    frame_id: str = ''


Space = Literal['metric_depth', 'relative_depth', 'relative_inverse_depth']
"""What depth values are: metres, or known up to scale (and shift) in depth or in 1 / depth."""


@dataclass(frozen=True)
class DepthEstimate:
    """What a mono estimator saw."""

    values: Float32Array
    """(H, W) in ``space``; NaN = unknown, +Inf = sky."""
    space: Space
    confidence: Float32Array | None
    """(H, W) in [0, 1], or None."""
    lacks: tuple[str, ...] = ()
    """What is missing for metres, in the words of the manifest; empty if the values are metres."""


@dataclass(frozen=True)
class RawDepth:
    """What a stereo estimator saw, in pixels of the frame it was given; not yet metres."""

    disparity_px: Float32Array
    """(H, W) raw disparity ``x_left - x_right``; NaN = unknown."""
    confidence: Float32Array | None
    """(H, W) in [0, 1], 0 where unknown; None if the estimator cannot tell."""
    min_px: float
    """Smallest raw disparity that was looked for."""
    max_px: float
    """Largest raw disparity that was looked for."""


@dataclass(frozen=True)
class Disparity:
    """Disparity with the difference of the principal points taken out: ``z = fx * baseline_m / disparity_px``."""

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
    """Intrinsics of this very map: its size is the size of ``depth_m``; None if no camera_info has come."""
    confidence: Float32Array | None
    """(H, W) in [0, 1]; None where the estimator does not give one."""
    disparity: Disparity | None
    """Where the depth came from a pair."""
    image: UInt8Array
    """(H, W) grey or (H, W, 3) RGB picture that the map belongs to, at the same size."""
    stamp_ns: int = 0
    frame_id: str = ''


@dataclass(frozen=True)
class RelativeMap:
    """Depth that is not metres."""

    values: Float32Array
    """(H, W); larger is nearer if ``space`` is relative_inverse_depth, else farther. NaN = unknown, +Inf = sky."""
    space: Space
    why_not_metres: str
    """In words, with what to do."""
    stamp_ns: int = 0
    frame_id: str = ''


@dataclass(frozen=True)
class Cloud:
    """Points in the optical frame of the camera: x right, y down, z forward, metres."""

    points: Float32Array
    """(H, W, C) organized, NaN where unknown; or (N, C) dense, all finite. C = 3 (x y z) or 4 (x y z rgb).

    ``rgb`` is the bits of ``0x00RRGGBB``, as PCL packs it; read it through an integer view.
    """
    stamp_ns: int = 0
    frame_id: str = ''

    @property
    def organized(self) -> bool:
        """Tell whether the points keep the grid of the image."""
        return self.points.ndim == 3
