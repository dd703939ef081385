"""Preprocessing: images are converted to the input tensors that a manifest describes."""

from collections.abc import Sequence

import cv2
import numpy as np

from depth_ros.errors import MissingPrompt
from depth_ros.geometry import pixel_slopes
from depth_ros.networks.input_placement import InputPlacement, resize_image
from depth_ros.networks.manifest import InputTensor, Manifest, Normalize, Pad, Preprocess
from depth_ros.types import AnyArray, Camera, Float32Array, UInt8Array

_BORDER = {'constant': cv2.BORDER_CONSTANT, 'replicate': cv2.BORDER_REPLICATE, 'reflect': cv2.BORDER_REFLECT_101}


def prepare(
    manifest: Manifest,
    placement: InputPlacement,
    left: UInt8Array,
    right: UInt8Array | None,
    camera: Camera | None,
    prompt_m: Float32Array | None = None,
) -> dict[str, AnyArray]:
    """Return one array for every input of the manifest, by name.

    Args:
        manifest: Description of the network.
        placement: Placement of the images on the input.
        left: Left image, or the only image of a mono network: (H, W) grey or (H, W, 3) RGB.
        right: Right image of a stereo network.
        camera: Intrinsics of the images, for networks with rays as an input.
        prompt_m: (h, w) measured depth of the whole image in metres, for networks with a prompt; see ``prompt_planes``.
    """
    rules = manifest.preprocess
    sides = {'image': left, 'left': left, 'right': right, 'left_half': left, 'right_half': right}
    tensors: dict[str, AnyArray] = {}
    for each in manifest.inputs:
        image = sides.get(each.role)
        if each.role == 'scalar':
            tensors[each.name] = np.array(each.value, dtype=each.dtype)
        elif each.role == 'prompt_depth' and each.size is not None and prompt_m is not None:
            tensors[each.name] = _in_layout(prompt_planes(prompt_m, each.size), each)
        elif each.role == 'unit_rays' and camera is not None:
            tensors[each.name] = _in_layout(_unit_rays(placement.camera(camera)), each)
        elif each.role == 'pair' and right is not None:
            both = np.concatenate([_image(rules, placement, p, each) for p in (left, right)])
            tensors[each.name] = _in_layout(both, each)
        elif image is not None and each.role.endswith('_half'):
            tensors[each.name] = _in_layout(_half(_image(rules, placement, image, each)), each)
        elif image is not None:
            tensors[each.name] = tensor_of(image, each, rules, placement)
    return tensors


def tensor_of(image: UInt8Array, target: InputTensor, rules: Preprocess, placement: InputPlacement) -> AnyArray:
    """Return an image as the tensor of one input."""
    return _in_layout(_image(rules, placement, image, target), target)


def prompt_planes(prompt_m: Float32Array, size: tuple[int, int]) -> Float32Array:
    """Return a prompt depth at the size of the input, without unknown values, as (1, height, width) metres.

    The nearest pixel gives the value if the sizes differ, because a mean of foreground and background exists nowhere. A
    pixel without a depth (NaN, Inf, zero or negative) gets that of the nearest pixel with one. The network normalises
    by the range from minimum to maximum; where all depths are equal, one pixel is made larger by a millionth, as in the
    image processor of transformers.

    Raises:
        MissingPrompt: no pixel has a depth.
    """
    values = cv2.resize(prompt_m.astype(np.float32, copy=False), size, interpolation=cv2.INTER_NEAREST_EXACT)
    known = np.isfinite(values) & (values > 0)
    if not known.any():
        raise MissingPrompt('no pixel of the prompt depth has a depth; expected positive metres. Check the sensor')
    if not known.all():
        nearest = cv2.distanceTransformWithLabels(
            (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )[1]
        by_label = np.zeros(int(nearest.max()) + 1, np.float32)
        by_label[nearest[known]] = values[known]
        values = by_label[nearest]
    if values.min() == values.max():
        values = values.copy()
        values[0, 0] *= np.float32(1 + 1e-6)
    return np.asarray(values[None])


def _image(rules: Preprocess, placement: InputPlacement, image: UInt8Array, target: InputTensor) -> Float32Array:
    """Return an image as (C, h, w) float32 at the network's size, padded and normalised."""
    colored = _in_color(image, target.color)
    (x, y), pad = placement.border, rules.pad
    if x or y:
        colored = cv2.copyMakeBorder(colored, y, y, x, x, cv2.BORDER_REFLECT_101)
    small = resize_image(colored, placement.resized, rules.resize.interp, rules.resize.align_corners)
    planes = cv2.split(small)
    if pad is not None and not pad.after_normalize:
        return _normalized([_padded(p, placement, pad, i) for i, p in enumerate(planes)], rules.normalize)
    normalized = _normalized(planes, rules.normalize)
    if pad is None or placement.resized == placement.size:
        return normalized
    return np.stack([_padded(p, placement, pad, i) for i, p in enumerate(normalized)])


def _in_color(image: UInt8Array, color: str) -> UInt8Array:
    grey = image.ndim == 2
    if color == 'gray':
        return image if grey else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    if grey:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))
    return image if color == 'rgb' else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def _normalized(planes: Sequence[AnyArray], rule: Normalize) -> Float32Array:
    """Scale and shift every plane in one pass, written directly into the tensor."""
    tensor = np.empty((len(planes), *planes[0].shape), np.float32)
    for channel, plane in enumerate(planes):
        mean, std = (values[channel % len(values)] for values in (rule.mean, rule.std))
        cv2.addWeighted(plane, rule.scale / std, plane, 0, -mean / std, dst=tensor[channel], dtype=cv2.CV_32F)
    return tensor


def _padded(plane: AnyArray, placement: InputPlacement, pad: Pad, channel: int) -> AnyArray:
    right = placement.size[0] - placement.resized[0] - placement.left
    bottom = placement.size[1] - placement.resized[1] - placement.top
    value = pad.value[channel % len(pad.value)]
    sides = (placement.top, bottom, placement.left, right)
    return np.asarray(cv2.copyMakeBorder(plane.astype(np.float32), *sides, _BORDER[pad.mode], value=value))


def _half(planes: Float32Array) -> Float32Array:
    size = (planes.shape[2] // 2, planes.shape[1] // 2)
    return np.stack([resize_image(plane, size, 'linear', align_corners=True) for plane in planes])


def _unit_rays(camera: Camera) -> Float32Array:
    """Return the unit vectors ``K⁻¹ [u, v, 1]`` of all pixels, (3, h, w)."""
    x, y = pixel_slopes(camera, np.arange(camera.width), np.arange(camera.height))
    rays = np.stack([x, y, np.ones_like(x)])
    unit: Float32Array = (rays / np.linalg.norm(rays, axis=0)).astype(np.float32)
    return unit


def _in_layout(planes: Float32Array, target: InputTensor) -> AnyArray:
    tensor = planes[None] if target.layout == 'NCHW' else planes.transpose(1, 2, 0)[None]
    return np.ascontiguousarray(tensor, dtype=target.dtype)
