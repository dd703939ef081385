"""Placement of an image on the input of a network: resize rules, padding, and their inverse.

The rules follow the code of the models: ``Resize`` of MiDaS, DPT, ZoeDepth and Depth Anything 1 and 2 (lower_bound,
upper_bound, minimal; ties to even), Depth Anything 3 (longest, ties up), Marigold (longest, rounded down), VGGT
(width), Metric3D (letterbox, rounded down), UniDepth 1 (letterbox, ties down), UniDepth 2 (pixel_budget), GLPN (floor).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from depth_ros.networks.antialiased_resize import resize_antialiased
from depth_ros.networks.manifest import Interpolation, Pad, Preprocess, Resize, Rounding
from depth_ros.types import AnyArray, Camera, Float32Array

Size = tuple[int, int]
"""Width, height."""


@dataclass(frozen=True)
class InputPlacement:
    """Position of an image on the network's input.

    Steps: reflect ``border``, resize to ``resized``, pad to ``size`` with ``left`` columns and ``top`` rows before the
    image.
    """

    image: Size
    """Size of the image."""
    border: Size
    """Pixels reflected on each side before the resize, x and y."""
    resized: Size
    left: int
    top: int
    size: Size
    """Size of the network's input."""
    outputs_align_corners: bool = False

    @property
    def scale_x(self) -> float:
        """Network pixels per image pixel along x."""
        return self.resized[0] / (self.image[0] + 2 * self.border[0])

    @property
    def scale_y(self) -> float:
        """Network pixels per image pixel along y."""
        return self.resized[1] / (self.image[1] + 2 * self.border[1])

    def camera(self, camera: Camera) -> Camera:
        """Return the intrinsics of the network's input, computed from those of the image."""
        bordered = Camera(
            camera.width + 2 * self.border[0],
            camera.height + 2 * self.border[1],
            camera.fx,
            camera.fy,
            camera.cx + self.border[0],
            camera.cy + self.border[1],
        )
        scaled = bordered.resized(*self.resized)
        return Camera(*self.size, scaled.fx, scaled.fy, scaled.cx + self.left, scaled.cy + self.top)

    def to_image(self, field: Float32Array) -> Float32Array:
        """Resample a field (H, W) or (H, W, C) from the network's size, or a fraction of it, to the image's size.

        A field that is smaller than the input is assumed to cover the same field of view. Values are interpolated, not
        converted, and linearly: the cubic interpolation of some authors overshoots at the edges of objects, which gives
        depth in front of the object and behind the background.
        """
        ratio_x, ratio_y = field.shape[1] / self.size[0], field.shape[0] / self.size[1]
        x0, y0 = round(self.left * ratio_x), round(self.top * ratio_y)
        width, height = round(self.resized[0] * ratio_x), round(self.resized[1] * ratio_y)
        inner = np.ascontiguousarray(field[y0 : y0 + height, x0 : x0 + width])
        bordered = (self.image[0] + 2 * self.border[0], self.image[1] + 2 * self.border[1])
        whole = resize_image(inner, bordered, 'linear', self.outputs_align_corners)
        (x, y), (w, h) = self.border, self.image
        return np.asarray(whole[y : y + h, x : x + w])


def plan(preprocess: Preprocess, image: Size, fixed: Size | None = None) -> InputPlacement:
    """Return the placement of an image on the network's input.

    Args:
        preprocess: Rules of the manifest.
        image: Width and height of the image.
        fixed: Input size of the graph, if it is fixed; a rule that gives another size is replaced by a stretch to it.
    """
    border = (0, 0)
    if preprocess.reflect_before is not None:
        border = (_border(image[0], preprocess.reflect_before), _border(image[1], preprocess.reflect_before))
    bordered = (image[0] + 2 * border[0], image[1] + 2 * border[1])
    resized = resized_size(preprocess.resize, *bordered)
    size, left, top = _padded(preprocess.resize, preprocess.pad, resized)
    if fixed is not None and size != fixed:
        resized, size, left, top = fixed, fixed, 0, 0
    return InputPlacement(image, border, resized, left, top, size, preprocess.outputs_align_corners)


def _border(side: int, factor: float) -> int:
    return int(math.sqrt(side / 2) * factor)


def resized_size(rule: Resize, width: int, height: int) -> Size:
    """Return the size of an image after a resize rule, before padding."""
    target_w, target_h = rule.width or 0, rule.height or 0
    if rule.mode == 'none':
        return width, height
    if rule.mode == 'floor':
        step = rule.multiple_of
        return max(width // step, 1) * step, max(height // step, 1) * step
    if rule.mode == 'stretch':
        return target_w, target_h
    if rule.mode == 'letterbox':
        scale = min(target_w / width, target_h / height)
        return _multiple(width * scale, rule), _multiple(height * scale, rule)
    if rule.mode == 'longest':
        sides = (width * target_w / max(width, height), height * target_w / max(width, height))
        if rule.multiple_of > 1:  # Depth Anything 3 resizes to whole pixels first, then to multiples
            sides = (round(sides[0]), round(sides[1]))
        return _multiple(sides[0], rule), _multiple(sides[1], rule)
    if rule.mode == 'width':
        return target_w, _multiple(height * target_w / width, rule)
    if rule.mode == 'pixel_budget':
        return _within_budget(rule, width, height)
    scale_w, scale_h = target_w / width, target_h / height
    if rule.mode == 'minimal':
        scale = scale_w if abs(1 - scale_w) < abs(1 - scale_h) else scale_h
        return _multiple(width * scale, rule), _multiple(height * scale, rule)
    if rule.mode == 'lower_bound':
        scale = max(scale_w, scale_h)
        return _multiple(width * scale, rule, minimum=target_w), _multiple(height * scale, rule, minimum=target_h)
    scale = min(scale_w, scale_h)
    return _multiple(width * scale, rule, maximum=target_w), _multiple(height * scale, rule, maximum=target_h)


_ROUNDING: dict[Rounding, Callable[[float], int]] = {
    'ties_even': round,
    'ties_up': lambda value: math.floor(value + 0.5),
    'ties_down': lambda value: math.ceil(value - 0.5),
    'down': math.floor,
}


def _multiple(side: float, rule: Resize, minimum: int = 0, maximum: int | None = None) -> int:
    """Round to a multiple; if that leaves ``minimum`` to ``maximum``, round the other way."""
    m = rule.multiple_of
    rounded = _ROUNDING[rule.rounding](side / m) * m
    if rounded < minimum:
        rounded = math.ceil(side / m) * m
    if maximum is not None and rounded > maximum:
        rounded = math.floor(side / m) * m
    return max(rounded, m)


def _within_budget(rule: Resize, width: int, height: int) -> Size:
    minimum, maximum = rule.pixels or (1, 1)
    scale = math.sqrt(min(max(width * height, minimum), maximum) / (width * height))
    m = rule.multiple_of
    return math.ceil(width * scale / m) * m, math.ceil(height * scale / m) * m


def _padded(resize: Resize, pad: Pad | None, resized: Size) -> tuple[Size, int, int]:
    if resize.mode == 'letterbox':
        size = (resize.width or 0, resize.height or 0)
    elif pad is not None:
        size = (
            -(-resized[0] // pad.multiple_of) * pad.multiple_of,
            -(-resized[1] // pad.multiple_of) * pad.multiple_of,
        )
    else:
        return resized, 0, 0
    extra_w, extra_h = size[0] - resized[0], size[1] - resized[1]
    anchor = pad.anchor if pad else 'centre'
    if anchor == 'bottom_left':
        return size, 0, extra_h
    if anchor == 'top_left':
        return size, 0, 0
    return size, extra_w // 2, extra_h // 2


_OPENCV: dict[Interpolation, int] = {
    'linear': cv2.INTER_LINEAR,
    'cubic': cv2.INTER_CUBIC,
    'area': cv2.INTER_AREA,
}


def resize_image(image: AnyArray, size: Size, interp: Interpolation, align_corners: bool = False) -> AnyArray:
    """Resize an image (H, W) or (H, W, C); ``align_corners`` aligns the outer pixel centres, as in torch."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    if align_corners:
        return _resize_aligned(image.astype(np.float32), size)
    if interp == 'lanczos_antialiased':
        return resize_antialiased(image, size, 'lanczos')
    if interp == 'linear_antialiased':
        if size[0] < image.shape[1] or size[1] < image.shape[0]:
            return resize_antialiased(image, size, 'linear')
        interp = 'linear'
    if interp == 'area_down_cubic_up':
        interp = 'area' if size[0] < image.shape[1] else 'cubic'
    return np.asarray(cv2.resize(image, size, interpolation=_OPENCV[interp]))


def _resize_aligned(field: Float32Array, size: Size) -> Float32Array:
    for axis, count in ((0, size[1]), (1, size[0])):
        positions = np.linspace(0, field.shape[axis] - 1, count, dtype=np.float64)
        low = np.minimum(positions.astype(np.intp), max(field.shape[axis] - 2, 0))
        high = np.minimum(low + 1, field.shape[axis] - 1)
        weight = (positions - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(field.ndim)])
        field = field.take(low, axis) * (1 - weight) + field.take(high, axis) * weight
    return field
