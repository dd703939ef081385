"""Raw outputs → depth at the picture's size: one decoder for each kind of output.

Every decoder interpolates in the space that the network wrote (inverse depth, disparity, …) and converts afterwards.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from depth_ros.errors import EstimatorError
from depth_ros.networks.input_placement import InputPlacement
from depth_ros.networks.manifest import Decode, Manifest, OutputTensor
from depth_ros.networks.point_shift import solve_shift
from depth_ros.types import AnyArray, Camera, DepthEstimate, Float32Array, Space


@dataclass(frozen=True)
class DecodeContext:
    """What a decoder may use besides the raw output."""

    canvas: InputPlacement
    camera: Camera | None
    """Intrinsics of the picture."""
    outputs: Mapping[str, AnyArray]
    """Further outputs by role: scale (N), fov_deg (N), valid_prob (h, w)."""


def decode(
    manifest: Manifest, tensors: Mapping[str, AnyArray], canvas: InputPlacement, camera: Camera | None
) -> DepthEstimate:
    """Turn a mono network's output tensors into depth.

    Returns:
        (H, W) at the picture's size. Sky is +Inf, what the network masks out NaN. ``space`` says whether the values
        are metres; ``lacks`` what is missing for metres.

    Raises:
        EstimatorError: the outputs are not of the declared form.
    """
    fields = _by_role(manifest, tensors)
    main = fields.pop('points', None) if 'point_map' in manifest.decode.kind else fields.pop('raw', None)
    if main is None:
        raise EstimatorError(f'{manifest.id} gave no output for its depth; it gave {", ".join(tensors)}')
    view = DecodeContext(canvas, camera, fields)
    lacks = missing_needs(manifest, camera is not None, 'fov_deg' in fields)
    values, space = _DECODERS[manifest.decode.kind](main, manifest.decode, view)
    values = _masked(values, manifest, view)
    return DepthEstimate(values, space if not lacks else _relative(space), _confidence(view), lacks)


def missing_needs(manifest: Manifest, has_camera: bool, has_fov: bool = False) -> tuple[str, ...]:
    """Return which of a mono manifest's needs nobody meets: intrinsics come from a camera, scales from nowhere yet."""
    met = {'fx', 'K'} if has_camera else {'fx'} if has_fov else set()
    return tuple(need for need in manifest.needs if need not in met)


def disparity(
    manifest: Manifest, tensors: Mapping[str, AnyArray], canvas: InputPlacement
) -> tuple[Float32Array, Float32Array | None]:
    """Turn a stereo network's output tensors into raw disparity and confidence of the picture's size.

    Pixels whose match would lie outside the right image, or beyond ``max_disparity``, are NaN.
    """
    fields = _by_role(manifest, tensors)
    rule, raw = manifest.decode, fields['raw']
    at_network = raw[..., rule.channel] if raw.ndim == 3 else raw
    px_per_field_px = canvas.size[0] / at_network.shape[1] / canvas.scale_x
    disparity_px = canvas.back(at_network) * np.float32(rule.sign * rule.gain * px_per_field_px)
    view = DecodeContext(canvas, None, fields)
    wrong = disparity_px > np.arange(disparity_px.shape[1], dtype=np.float32)
    if rule.max_disparity is not None:
        wrong |= disparity_px > rule.max_disparity / canvas.scale_x
    masked = _masked(np.where(wrong, np.float32(np.nan), disparity_px), manifest, view)
    return masked, _confidence(view)


# Decoders: raw (h, w) or points (h, w, 3), the rule, the view → values at the picture's size and their space.


def _metric_depth(raw: Float32Array, rule: Decode, view: DecodeContext) -> tuple[Float32Array, Space]:
    return view.canvas.back(raw), 'metric_depth'


def _affine_inverse_depth(raw: Float32Array, rule: Decode, view: DecodeContext) -> tuple[Float32Array, Space]:
    values = view.canvas.back(raw)
    if rule.scale is None or rule.shift is None:
        return values, 'relative_inverse_depth'
    return _inverse(np.float32(rule.scale) * values + np.float32(rule.shift), 1e-8, np.inf), 'metric_depth'


def _affine_depth(raw: Float32Array, rule: Decode, view: DecodeContext) -> tuple[Float32Array, Space]:
    return view.canvas.back(raw), 'relative_depth'


def _canonical_depth(raw: Float32Array, rule: Decode, view: DecodeContext) -> tuple[Float32Array, Space]:
    """``z = raw * f / canonical_focal`` with the focal length at the network's resolution."""
    values = view.canvas.back(raw)
    if view.camera is None or rule.canonical_focal is None:
        return values, 'relative_depth'
    focal_px = (view.camera.fx * view.canvas.scale_x + view.camera.fy * view.canvas.scale_y) / 2
    return values * np.float32(focal_px / rule.canonical_focal), 'metric_depth'


def _canonical_inverse_depth(raw: Float32Array, rule: Decode, view: DecodeContext) -> tuple[Float32Array, Space]:
    """``1 / z = raw * W / fx`` with width and focal length of the picture (Depth Pro)."""
    values, width = view.canvas.back(raw), view.canvas.image[0]
    if view.camera is not None:
        fx = view.camera.fx
    elif 'fov_deg' in view.outputs:
        fx = 0.5 * width / float(np.tan(np.radians(view.outputs['fov_deg'].reshape(-1)[0]) / 2))
    else:
        return values, 'relative_inverse_depth'
    return _inverse(values * np.float32(width / fx), rule.min_inverse, rule.max_inverse), 'metric_depth'


def _sigmoid_disparity(raw: Float32Array, rule: Decode, view: DecodeContext) -> tuple[Float32Array, Space]:
    """``z = scale / (1 / max + (1 / min - 1 / max) * raw)`` (MonoDepth2)."""
    low, high = 1 / (rule.max_depth or np.inf), 1 / (rule.min_depth or 1.0)
    inverse = np.float32(low) + np.float32(high - low) * view.canvas.back(raw)
    scale = rule.scale if rule.scale is not None else 1.0
    return np.float32(scale) / inverse, 'metric_depth' if rule.scale is not None else 'relative_depth'


def _point_map(points: Float32Array, rule: Decode, view: DecodeContext) -> tuple[Float32Array, Space]:
    return view.canvas.back(points[..., 2]), 'relative_depth' if rule.up_to_scale else 'metric_depth'


def _affine_point_map(points: Float32Array, rule: Decode, view: DecodeContext) -> tuple[Float32Array, Space]:
    """``z = (z_points + shift) * scale``; the shift follows from the camera's rays (MoGe)."""
    depth = view.canvas.back(points[..., 2])
    scale = float(view.outputs['scale'].reshape(-1)[0]) if 'scale' in view.outputs else 1.0
    if view.camera is None:
        return depth * np.float32(scale), 'relative_depth'
    mask = view.outputs.get('valid_prob')
    camera = view.canvas.camera(view.camera).resized(points.shape[1], points.shape[0])
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


def _inverse(inverse: Float32Array, least: float, most: float) -> Float32Array:
    return np.asarray(np.float32(1.0) / np.clip(inverse, np.float32(least), np.float32(most)))


def _relative(space: Space) -> Space:
    return 'relative_depth' if space == 'metric_depth' else space


def _by_role(manifest: Manifest, tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Return the outputs that mean something as (h, w), (h, w, C) or (N) float32, by role."""
    found: dict[str, AnyArray] = {}
    for each in manifest.outputs:
        tensor = next(iter(tensors.values())) if each.name == '*' else tensors.get(each.name)
        if each.role != 'ignored' and tensor is not None:
            found[each.role] = _as_field(tensor.astype(np.float32, copy=False), each, manifest)
    return found


def _as_field(tensor: Float32Array, output: OutputTensor, manifest: Manifest) -> Float32Array:
    """Bring a tensor of the declared layout to (h, w) or (h, w, C); tensors without H and W stay as they are."""
    axes = output.layout
    if tensor.ndim != len(axes):
        raise EstimatorError(
            f"{manifest.id}: output '{output.name}' has shape {tensor.shape}; the manifest's layout is {axes}"
        )
    if 'H' not in axes:
        return tensor
    index = tuple(slice(None) if axis in 'HW' or (axis.isdigit() and axis != '1') else 0 for axis in axes)
    kept = [axis for axis in axes if axis in 'HW' or (axis.isdigit() and axis != '1')]
    field = tensor[index]
    order = [kept.index('H'), kept.index('W'), *(i for i, axis in enumerate(kept) if axis.isdigit())]
    return np.asarray(field.transpose(order))


def _masked(values: Float32Array, manifest: Manifest, view: DecodeContext) -> Float32Array:
    """Write NaN where an output says invalid, and +Inf where it says sky."""
    for output in manifest.outputs:
        field = view.outputs.get(output.role)
        if field is None or field.ndim != 2:
            continue
        at_image = view.canvas.back(field)
        if output.valid_if_ge is not None:
            values = np.where(at_image >= output.valid_if_ge, values, np.float32(np.nan))
        if output.valid_if_gt is not None:
            values = np.where(at_image > output.valid_if_gt, values, np.float32(np.nan))
        if output.sky_if_ge is not None:
            values = np.where(at_image >= output.sky_if_ge, np.float32(np.inf), values)
    return values


def _confidence(view: DecodeContext) -> Float32Array | None:
    field = view.outputs.get('confidence')
    return None if field is None else np.clip(view.canvas.back(field), 0.0, 1.0)
