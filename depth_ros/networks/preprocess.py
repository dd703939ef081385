"""Picture(s) and canvas → the tensors that a manifest asks for."""

from collections.abc import Sequence

import cv2
import numpy as np

from depth_ros.geometry import pixel_slopes
from depth_ros.networks.input_placement import InputPlacement, resize_image
from depth_ros.networks.manifest import InputTensor, Manifest, Normalize, Pad, Preprocess
from depth_ros.types import AnyArray, Camera, Float32Array, UInt8Array

_BORDER = {'constant': cv2.BORDER_CONSTANT, 'replicate': cv2.BORDER_REPLICATE, 'reflect': cv2.BORDER_REFLECT_101}


def prepare(
    manifest: Manifest, canvas: InputPlacement, left: UInt8Array, right: UInt8Array | None, camera: Camera | None
) -> dict[str, AnyArray]:
    """Return one array for every input of the manifest, by name.

    Args:
        manifest: Says what the network takes.
        canvas: Where the pictures go.
        left: (H, W) grey or (H, W, 3) RGB; the only picture of a mono network.
        right: For stereo networks.
        camera: Intrinsics of the pictures, for networks that take rays.
    """
    rules = manifest.preprocess
    sides = {'image': left, 'left': left, 'right': right, 'left_half': left, 'right_half': right}
    tensors: dict[str, AnyArray] = {}
    for each in manifest.inputs:
        image = sides.get(each.role)
        if each.role == 'scalar':
            tensors[each.name] = np.array(each.value, dtype=each.dtype)
        elif each.role == 'unit_rays' and camera is not None:
            tensors[each.name] = _laid_out(_unit_rays(canvas.camera(camera)), each)
        elif each.role == 'pair' and right is not None:
            both = np.concatenate([_image(rules, canvas, p, each) for p in (left, right)])
            tensors[each.name] = _laid_out(both, each)
        elif image is not None and each.role.endswith('_half'):
            tensors[each.name] = _laid_out(_half(_image(rules, canvas, image, each)), each)
        elif image is not None:
            tensors[each.name] = tensor_of(image, each, rules, canvas)
    return tensors


def tensor_of(image: UInt8Array, target: InputTensor, rules: Preprocess, canvas: InputPlacement) -> AnyArray:
    """Return one picture as the tensor of one input."""
    return _laid_out(_image(rules, canvas, image, target), target)


def _image(rules: Preprocess, canvas: InputPlacement, image: UInt8Array, target: InputTensor) -> Float32Array:
    """Return (C, h, w) float32 of the network's size, padded and normalised."""
    colored = _in_color(image, target.color)
    (x, y), pad = canvas.border, rules.pad
    if x or y:
        colored = cv2.copyMakeBorder(colored, y, y, x, x, cv2.BORDER_REFLECT_101)
    small = resize_image(colored, canvas.resized, rules.resize.interp, rules.resize.align_corners)
    planes = cv2.split(small)
    if pad is not None and not pad.after_normalize:
        return _normalized([_padded(p, canvas, pad, i) for i, p in enumerate(planes)], rules.normalize)
    normalized = _normalized(planes, rules.normalize)
    if pad is None or canvas.resized == canvas.size:
        return normalized
    return np.stack([_padded(p, canvas, pad, i) for i, p in enumerate(normalized)])


def _in_color(image: UInt8Array, color: str) -> UInt8Array:
    grey = image.ndim == 2
    if color == 'gray':
        return image if grey else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    if grey:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))
    return image if color == 'rgb' else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def _normalized(planes: Sequence[AnyArray], rule: Normalize) -> Float32Array:
    """Scale and shift every plane in one pass each, straight into its place in the tensor."""
    tensor = np.empty((len(planes), *planes[0].shape), np.float32)
    for channel, plane in enumerate(planes):
        mean, std = (values[channel % len(values)] for values in (rule.mean, rule.std))
        cv2.addWeighted(plane, rule.scale / std, plane, 0, -mean / std, dst=tensor[channel], dtype=cv2.CV_32F)
    return tensor


def _padded(plane: AnyArray, canvas: InputPlacement, pad: Pad, channel: int) -> AnyArray:
    right = canvas.size[0] - canvas.resized[0] - canvas.left
    bottom = canvas.size[1] - canvas.resized[1] - canvas.top
    value = pad.value[channel % len(pad.value)]
    sides = (canvas.top, bottom, canvas.left, right)
    return np.asarray(cv2.copyMakeBorder(plane.astype(np.float32), *sides, _BORDER[pad.mode], value=value))


def _half(planes: Float32Array) -> Float32Array:
    size = (planes.shape[2] // 2, planes.shape[1] // 2)
    return np.stack([resize_image(plane, size, 'linear', align_corners=True) for plane in planes])


def _unit_rays(camera: Camera) -> Float32Array:
    """Return (3, h, w) unit vectors ``K⁻¹ [u, v, 1]`` of every pixel."""
    x, y = pixel_slopes(camera, np.arange(camera.width), np.arange(camera.height))
    rays = np.stack([x, y, np.ones_like(x)])
    unit: Float32Array = (rays / np.linalg.norm(rays, axis=0)).astype(np.float32)
    return unit


def _laid_out(planes: Float32Array, target: InputTensor) -> AnyArray:
    tensor = planes[None] if target.layout == 'NCHW' else planes.transpose(1, 2, 0)[None]
    return np.ascontiguousarray(tensor, dtype=target.dtype)
