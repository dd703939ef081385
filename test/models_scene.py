"""A known scene, and a runtime that computes the output of a network for it from the true depth."""

import numpy as np

from depth_ros.networks.input_placement import plan
from depth_ros.networks.runtimes.fake_runtime import FakeRuntime
from depth_ros.networks.runtimes.runtime import TensorInfo
from depth_ros.types import Camera


def camera(width, height):
    return Camera(width, height, 0.9 * width, 0.95 * width, 0.48 * width, 0.53 * height)


def inverse_depth(cam, u, v):
    """Return 1 / z of a tilted plane at image coordinates (u, v)."""
    return 0.25 + 0.08 * (u - cam.cx) / cam.width + 0.05 * (v - cam.cy) / cam.height


def true_depth(cam):
    u, v = np.meshgrid(np.arange(cam.width), np.arange(cam.height))
    return 1 / inverse_depth(cam, u, v)


def image_coordinates(placement, ratio=1.0):
    """Return the image coordinates of every pixel of the network's output, whose size is ``ratio`` of the input's."""
    width, height = round(placement.size[0] * ratio), round(placement.size[1] * ratio)
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    if placement.outputs_align_corners:
        (bw, bh), (rw, rh) = (
            (placement.image[0] + 2 * placement.border[0], placement.image[1] + 2 * placement.border[1]),
            (round(placement.resized[0] * ratio), round(placement.resized[1] * ratio)),
        )
        u = (u - placement.left * ratio) * (bw - 1) / (rw - 1)
        v = (v - placement.top * ratio) * (bh - 1) / (rh - 1)
    else:
        u = ((u + 0.5) / ratio - placement.left) / placement.scale_x - 0.5
        v = ((v + 0.5) / ratio - placement.top) / placement.scale_y - 0.5
    return u - placement.border[0], v - placement.border[1]


def input_info(manifest, fixed=None):
    infos = []
    for each in manifest.inputs:
        channels = (1 if each.color == 'gray' or each.role == 'prompt_depth' else 3) * (2 if each.role == 'pair' else 1)
        size = (fixed[1], fixed[0]) if fixed else (None, None)
        image_shape = (1, channels, *size) if each.layout == 'NCHW' else (1, *size, channels)
        shape = () if each.role == 'scalar' else image_shape
        name = 'x' if each.name == '*' else each.name
        infos.append(TensorInfo(name, each.dtype, shape))
    return tuple(infos)


def scene_runtime(manifest, image, fixed=None, ratio=1.0, freeze=None, **faults):
    """Return a runtime that computes a network's output for the plane, seen by a camera of the image's size.

    Images of the self-check at load have other sizes: their placement is found by its size.
    """
    outputs = tuple(
        TensorInfo('y' if o.name == '*' else o.name, 'float32', (None,) * len(o.layout)) for o in manifest.outputs
    )

    def compute(tensors):
        main = next(i for i in manifest.inputs if i.role in ('image', 'left', 'pair'))
        tensor = tensors['x' if main.name == '*' else main.name]
        size = (tensor.shape[3], tensor.shape[2]) if main.layout == 'NCHW' else (tensor.shape[2], tensor.shape[1])
        sizes = [image, (640, 480), (320, 320)]
        placement = next(c for c in (plan(manifest.preprocess, s, size) for s in sizes) if c.size == size)
        cam = camera(*placement.image)
        u, v = image_coordinates(placement, ratio)
        inverse = inverse_depth(cam, u, v)
        results = {}
        for output, info in zip(manifest.outputs, outputs, strict=True):
            field = network_output(manifest, output, inverse, placement, cam, u, v)
            if freeze is not None and field.ndim >= 2:
                field = np.resize(field, (*freeze, *field.shape[2:]))
            results[info.name] = laid_out(field, output.layout).astype(np.float32)
        return results

    return FakeRuntime(input_info(manifest, fixed), outputs, compute, **faults)


def network_output(manifest, output, inverse, placement, cam, u, v):
    """Return the values that the network would write for this inverse depth."""
    rule = manifest.decode
    if output.role in ('sky',):
        return np.zeros_like(inverse)
    if output.role in ('confidence', 'valid_prob'):
        return np.full_like(inverse, 0.9)
    if output.role == 'error_factor':
        return np.full_like(inverse, 1.25)
    if output.role == 'focal_px':
        return np.array([1.3 * cam.fx * placement.scale_x])
    if output.role == 'scale':
        return np.array([2.0])
    if output.role == 'fov_deg':
        return np.array([np.degrees(2 * np.arctan(0.5 * cam.width / cam.fx))])
    if output.role == 'ignored':
        return np.zeros((*inverse.shape, *(int(c) for c in output.layout if c in '23')))
    depth = 1 / inverse
    if any(each.role == 'focal_px' for each in manifest.outputs):
        depth *= 1.3
    focal = (cam.fx * placement.scale_x + cam.fy * placement.scale_y) / 2
    rays = np.stack([(u - cam.cx) / cam.fx, (v - cam.cy) / cam.fy, np.ones_like(u)], -1)
    if rule.kind == 'affine_inverse_depth':
        s, t = (rule.scale, rule.shift) if rule.scale else (0.003, 0.01)
        return (inverse - t) / s
    if rule.kind == 'sigmoid_disparity':
        low, high = 1 / rule.max_depth, 1 / rule.min_depth
        return (inverse * (rule.scale or 1.0) - low) / (high - low)
    if rule.kind == 'disparity':
        field = (
            rule.sign * inverse * cam.fx * 0.1 * placement.scale_x / rule.gain * (inverse.shape[1] / placement.size[0])
        )
        return np.stack([field] * 2, -1) if '2' in output.layout else field
    if rule.kind == 'affine_point_map':
        points = rays * depth[..., None] / 2.0
        points[..., 2] -= 0.7
        return points
    return {
        'metric_depth': depth,
        'affine_depth': (depth - 1.0) / 3.0,
        'scale_invariant_depth': depth / 7.0,
        'canonical_depth': depth * (rule.canonical_focal or 1.0) / focal,
        'canonical_inverse_depth': inverse * cam.fx / cam.width,
        'point_map': rays * depth[..., None],
    }[rule.kind]


def laid_out(field, layout):
    if 'H' not in layout:
        return field
    if field.ndim == 3 and layout.index('H') > 1:
        field = field.transpose(2, 0, 1)
    for axis, letter in enumerate(layout):
        if letter in 'N1':
            field = np.expand_dims(field, axis)
    return field
