"""Where the pixels of the reference appear in a source, for planes at given depths and for given depth maps."""

from dataclasses import dataclass

import numpy as np

from depth_ros.types import Camera, Float32Array, Float64Array

_MIN_DEPTH_RATIO = np.float32(0.05)
"""Points are in front of a source from this multiple of their depth in the reference."""
_OUTSIDE_PX = np.float32(-10)


@dataclass(frozen=True)
class Projection:
    """Projection of the pixels of the reference into a source, as a function of their inverse depth w.

    For a plane parallel to the reference image, w is constant, and this is the homography
    ``K_source (R + w t nᵀ) K_reference⁻¹``.
    """

    rays: Float32Array
    """(3, H, W) homogeneous source pixels of points at infinity."""
    shift: Float32Array
    """(3,) change of the homogeneous pixel per unit of inverse depth."""
    camera: Camera
    """Intrinsics of the source."""

    def at(self, inverse_depth: Float32Array) -> 'SourcePixels':
        """Return the pixels of the source for inverse depths: (H, W), or (D, 1, 1) for D planes; 1/m."""
        z = self.rays[2] + inverse_depth * self.shift[2]
        behind = z < _MIN_DEPTH_RATIO
        z[behind] = 1
        np.reciprocal(z, out=z)
        x, y = self.rays[0] + inverse_depth * self.shift[0], self.rays[1] + inverse_depth * self.shift[1]
        x *= z
        y *= z
        x[behind] = _OUTSIDE_PX
        return SourcePixels(x, y, z, self)


@dataclass(frozen=True)
class SourcePixels:
    """Pixels of a source; ``x`` and ``y`` may be outside of its image."""

    x: Float32Array
    y: Float32Array
    inverse_z: Float32Array
    """Depth in the reference divided by the depth in the source."""
    projection: Projection

    def inside(self) -> Float32Array:
        """Return 1 where a pixel is in the image, 0 elsewhere, as float32."""
        camera = self.projection.camera
        inside = (self.x >= 0) & (self.x <= camera.width - 1) & (self.y >= 0) & (self.y <= camera.height - 1)
        return inside.astype(np.float32)

    def per_inverse_depth(self) -> tuple[Float32Array, Float32Array]:
        """Return the movement of the pixel along x and y per unit of inverse depth, px m."""
        shift = self.projection.shift
        return (shift[0] - self.x * shift[2]) * self.inverse_z, (shift[1] - self.y * shift[2]) * self.inverse_z


def projection(reference: Camera, source: Camera, motion: Float64Array, margin_rows: int = 0) -> Projection:
    """Return the projection of a reference into a source.

    Args:
        reference: Intrinsics of the reference.
        source: Intrinsics of the source.
        motion: (4, 4) matrix that takes points of the reference to the source.
        margin_rows: Rows that are added above and below the reference.
    """
    k_source = np.array([[source.fx, 0, source.cx], [0, source.fy, source.cy], [0, 0, 1]])
    turn = k_source @ motion[:3, :3]
    columns = (np.arange(reference.width) - reference.cx) / reference.fx
    rows = (np.arange(-margin_rows, reference.height + margin_rows) - reference.cy) / reference.fy
    of_column = (turn[:, :1] * columns + turn[:, 2:]).astype(np.float32)
    of_row = (turn[:, 1:2] * rows).astype(np.float32)
    rays = of_column[:, None, :] + of_row[:, :, None]
    return Projection(rays, (k_source @ motion[:3, 3]).astype(np.float32), source)
