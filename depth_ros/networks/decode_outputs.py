"""Decoding of raw outputs into depth at the image's size: one decoder for each kind of output.

Every decoder interpolates in the space of the network's output (inverse depth, disparity, …) and converts afterwards.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from depth_ros.errors import EstimatorError
from depth_ros.networks.input_placement import InputPlacement
from depth_ros.networks.manifest import Decode, Manifest, OutputTensor
from depth_ros.networks.point_shift import solve_shift
from depth_ros.types import AnyArray, Camera, DepthEstimate, Float32Array, Space


@dataclass(frozen=True)
class DecodeContext:
    """Inputs of a decoder besides the raw output."""

    placement: InputPlacement
    camera: Camera | None
    """Intrinsics of the image; None = unknown."""
    outputs: Mapping[str, AnyArray]
    """Further outputs by role: scale (N), fov_deg (N), focal_px (N), valid_prob (h, w)."""


def decode(
    manifest: Manifest, tensors: Mapping[str, AnyArray], placement: InputPlacement, camera: Camera | None
) -> DepthEstimate:
    """Decode the output tensors of a mono network into depth.

    Returns:
        Values (H, W) at the image's size; sky is +Inf, pixels that the network masks out are NaN. ``space`` states
        whether the values are metres, ``lacks`` what is missing for metres.

    Raises:
        EstimatorError: the outputs do not have the declared form.
    """
    fields = _by_role(manifest, tensors)
    main = fields.pop('points', None) if 'point_map' in manifest.decode.kind else fields.pop('raw', None)
    if main is None:
        raise EstimatorError(
            f'{manifest.id} returned no output for depth; it returned {", ".join(tensors)}. Correct the outputs of its '
            'manifest'
        )
    if 'sky' in fields:
        main = _without_sky(main, fields['sky'], manifest)
    context = DecodeContext(placement, camera, fields)
    lacks = missing_needs(manifest, camera is not None, 'fov_deg' in fields)
    values, space = _DECODERS[manifest.decode.kind](main, manifest.decode, context)
    values = _masked(values, manifest, context)
    return DepthEstimate(values, space if not lacks else _relative(space), _confidence(context), lacks)


def missing_needs(manifest: Manifest, has_camera: bool, has_fov: bool = False) -> tuple[str, ...]:
    """Return the unmet needs of a mono manifest; a camera provides intrinsics, a scale is applied later."""
    met = {'fx', 'K'} if has_camera else {'fx'} if has_fov else set()
    return tuple(need for need in manifest.needs if need not in met)


def disparity(
    manifest: Manifest, tensors: Mapping[str, AnyArray], placement: InputPlacement
) -> tuple[Float32Array, Float32Array | None]:
    """Decode the output tensors of a stereo network into disparity, pixels, and confidence at the image's size.

    Pixels whose match would lie outside the right image, or beyond ``max_disparity``, are NaN.
    """
    fields = _by_role(manifest, tensors)
    rule, raw = manifest.decode, fields['raw']
    at_network = raw[..., rule.channel] if raw.ndim == 3 else raw
    if rule.min_disparity is not None:
        at_network = rule.sign * np.maximum(rule.sign * at_network, np.float32(rule.min_disparity))
    px_per_field_px = placement.size[0] / at_network.shape[1] / placement.scale_x
    disparity_px = placement.to_image(at_network) * np.float32(rule.sign * rule.gain * px_per_field_px)
    context = DecodeContext(placement, None, fields)
    wrong = disparity_px > np.arange(disparity_px.shape[1], dtype=np.float32)
    if rule.max_disparity is not None:
        wrong |= disparity_px > rule.max_disparity / placement.scale_x
    masked = _masked(np.where(wrong, np.float32(np.nan), disparity_px), manifest, context)
    return masked, _confidence(context)


# Decoders: raw (h, w) or points (h, w, 3), the rule, the context → values at the image's size and their space.


def _metric_depth(raw: Float32Array, rule: Decode, context: DecodeContext) -> tuple[Float32Array, Space]:
    """``z = raw``, or ``z = raw * fx / focal_px`` if the network assumed the focal length focal_px (Depth Pro)."""
    values = context.placement.to_image(raw)
    if context.camera is None or 'focal_px' not in context.outputs:
        return values, 'metric_depth'
    assumed_px = float(context.outputs['focal_px'].reshape(-1)[0])
    return values * np.float32(context.camera.fx * context.placement.scale_x / assumed_px), 'metric_depth'


def _affine_inverse_depth(raw: Float32Array, rule: Decode, context: DecodeContext) -> tuple[Float32Array, Space]:
    values = context.placement.to_image(raw)
    if rule.scale is None or rule.shift is None:
        return values, 'relative_inverse_depth'
    return _inverse(np.float32(rule.scale) * values + np.float32(rule.shift), 1e-8, np.inf), 'metric_depth'


def _affine_depth(raw: Float32Array, rule: Decode, context: DecodeContext) -> tuple[Float32Array, Space]:
    return context.placement.to_image(raw), 'relative_depth'


def _canonical_depth(raw: Float32Array, rule: Decode, context: DecodeContext) -> tuple[Float32Array, Space]:
    """``z = raw * f / canonical_focal`` with the focal length at the network's resolution."""
    values = context.placement.to_image(raw)
    if context.camera is None or rule.canonical_focal is None:
        return values, 'relative_depth'
    focal_px = (context.camera.fx * context.placement.scale_x + context.camera.fy * context.placement.scale_y) / 2
    return values * np.float32(focal_px / rule.canonical_focal), 'metric_depth'


def _canonical_inverse_depth(raw: Float32Array, rule: Decode, context: DecodeContext) -> tuple[Float32Array, Space]:
    """``1 / z = raw * W / fx`` with width and focal length of the image (Depth Pro)."""
    values, width = context.placement.to_image(raw), context.placement.image[0]
    if context.camera is not None:
        fx = context.camera.fx
    elif 'fov_deg' in context.outputs:
        fx = 0.5 * width / float(np.tan(np.radians(context.outputs['fov_deg'].reshape(-1)[0]) / 2))
    else:
        return values, 'relative_inverse_depth'
    return _inverse(values * np.float32(width / fx), rule.min_inverse, rule.max_inverse), 'metric_depth'


def _sigmoid_disparity(raw: Float32Array, rule: Decode, context: DecodeContext) -> tuple[Float32Array, Space]:
    """``z = scale / (1 / max + (1 / min - 1 / max) * raw)`` (MonoDepth2)."""
    low, high = 1 / (rule.max_depth or np.inf), 1 / (rule.min_depth or 1.0)
    inverse = np.float32(low) + np.float32(high - low) * context.placement.to_image(raw)
    scale = rule.scale if rule.scale is not None else 1.0
    return np.float32(scale) / inverse, 'metric_depth' if rule.scale is not None else 'relative_depth'


def _point_map(points: Float32Array, rule: Decode, context: DecodeContext) -> tuple[Float32Array, Space]:
    return context.placement.to_image(points[..., 2]), 'relative_depth' if rule.up_to_scale else 'metric_depth'


def _affine_point_map(points: Float32Array, rule: Decode, context: DecodeContext) -> tuple[Float32Array, Space]:
    """``z = (z_points + shift) * scale``; the shift is computed from the camera's rays (MoGe)."""
    depth = context.placement.to_image(points[..., 2])
    scale = float(context.outputs['scale'].reshape(-1)[0]) if 'scale' in context.outputs else 1.0
    if context.camera is None:
        return depth * np.float32(scale), 'relative_depth'
    mask = context.outputs.get('valid_prob')
    camera = context.placement.camera(context.camera).resized(points.shape[1], points.shape[0])
    shift = solve_shift(points, camera, None if mask is None else mask > 0.5)
    return (depth + np.float32(shift)) * np.float32(scale), 'metric_depth'


Decoder = Callable[[Float32Array, Decode, DecodeContext], tuple[Float32Array, Space]]
_DECODERS: dict[str, Decoder] = {
    'metric_depth': _metric_depth,
    'affine_inverse_depth': _affine_inverse_depth,
    'affine_depth': _affine_depth,
    'scale_invariant_depth': _affine_depth,
    'canonical_depth': _canonical_depth,
    'canonical_inverse_depth': _canonical_inverse_depth,
    'sigmoid_disparity': _sigmoid_disparity,
    'point_map': _point_map,
    'affine_point_map': _affine_point_map,
}


def _inverse(inverse: Float32Array, minimum: float, maximum: float) -> Float32Array:
    return np.asarray(np.float32(1.0) / np.clip(inverse, np.float32(minimum), np.float32(maximum)))


def _relative(space: Space) -> Space:
    return 'relative_depth' if space == 'metric_depth' else space


def _by_role(manifest: Manifest, tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Return the outputs that are not ignored, as (h, w), (h, w, C) or (N) float32, by role."""
    fields: dict[str, AnyArray] = {}
    for each in manifest.outputs:
        tensor = next(iter(tensors.values())) if each.name == '*' else tensors.get(each.name)
        if each.role != 'ignored' and tensor is not None:
            fields[each.role] = _as_field(tensor.astype(np.float32, copy=False), each, manifest)
    return fields


def _as_field(tensor: Float32Array, output: OutputTensor, manifest: Manifest) -> Float32Array:
    """Return a tensor of the declared layout as (h, w) or (h, w, C); tensors without H and W are returned unchanged."""
    axes = output.layout
    if tensor.ndim != len(axes):
        raise EstimatorError(
            f"{manifest.id}: output '{output.name}' has shape {tensor.shape}; expected the layout {axes} of the "
            'manifest. Correct the layout in the manifest'
        )
    if 'H' not in axes:
        return tensor
    index = tuple(slice(None) if axis in 'HW' or (axis.isdigit() and axis != '1') else 0 for axis in axes)
    named = [axis for axis in axes if axis in 'HW' or (axis.isdigit() and axis != '1')]
    field = tensor[index]
    order = [named.index('H'), named.index('W'), *(i for i, axis in enumerate(named) if axis.isdigit())]
    return np.asarray(field.transpose(order))


def _masked(values: Float32Array, manifest: Manifest, context: DecodeContext) -> Float32Array:
    """Set pixels to NaN where an output marks them as invalid, and to +Inf where it marks sky."""
    for output in manifest.outputs:
        field = context.outputs.get(output.role)
        if field is None or field.ndim != 2:
            continue
        at_image = context.placement.to_image(field)
        if output.valid_if_ge is not None:
            values = np.where(at_image >= output.valid_if_ge, values, np.float32(np.nan))
        if output.valid_if_gt is not None:
            values = np.where(at_image > output.valid_if_gt, values, np.float32(np.nan))
        if output.sky_if_ge is not None:
            values = np.where(at_image >= output.sky_if_ge, np.float32(np.inf), values)
    return values


def _without_sky(values: Float32Array, sky: Float32Array, manifest: Manifest) -> Float32Array:
    """Replace depth of the sky beside an object by that of the object, so that interpolation does not mix the two."""
    limit = next((each.sky_if_ge for each in manifest.outputs if each.role == 'sky'), None)
    if limit is None or values.shape != sky.shape:
        return values
    is_sky = sky >= limit
    without_sky = np.where(is_sky, np.float32(np.inf), values)
    beside = cv2.erode(without_sky, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return np.where(is_sky & np.isfinite(beside), beside, values)


def _confidence(context: DecodeContext) -> Float32Array | None:
    """Return the confidence, (H, W) in [0, 1]: the network's, the inverse of its error factor, or its validity."""
    outputs = context.outputs
    if 'confidence' in outputs:
        field = outputs['confidence']
    elif 'error_factor' in outputs:
        field = np.float32(1.0) / np.maximum(outputs['error_factor'], np.float32(1.0))
    elif 'valid_prob' in outputs:
        field = outputs['valid_prob']
    else:
        return None
    return np.clip(context.placement.to_image(field), 0.0, 1.0)
