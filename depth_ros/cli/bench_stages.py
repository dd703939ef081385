"""``depth-ros bench stages``: time of the stages around the estimator, compared with the common implementation."""

import argparse
import array
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import Image, PointCloud2, PointField

from depth_ros.cli.bench_stereo import write_text
from depth_ros.memory import keep_freed_memory
from depth_ros.messages import read_messages
from depth_ros.networks.input_placement import plan
from depth_ros.networks.manifest import InputTensor, Normalize, Preprocess, Resize
from depth_ros.networks.preprocess import tensor_of
from depth_ros.pipeline import filtered
from depth_ros.ros.outputs import CloudMessages
from depth_ros.ros.ros_messages import to_ros
from depth_ros.settings.node_settings import StereoSettings
from depth_ros.stages.filters import without_region
from depth_ros.stages.metric import depth_from_disparity
from depth_ros.stages.pixel_rays import PixelRays
from depth_ros.stages.stabilizer import Stabilizer
from depth_ros.types import Camera, DepthMap, Disparity, Float32Array

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_NETWORK_WIDTH = 518
_NETWORK_INPUT = InputTensor('image', 'image')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        'floor_ms is the time to copy the bytes that the stages read and write; recipe_ms is the time of the common '
        'implementation (float images, meshgrid, structured array).'
    )
    add_size(parser)
    parser.add_argument(
        '--repeat', type=int, default=50, help='measurements per stage, of which the median is reported (50)'
    )
    add_json(parser)


def add_size(parser: argparse.ArgumentParser) -> None:
    """Declare the options for the image size."""
    parser.add_argument('--width', type=int, default=1280, help='image width, pixels (1280)')
    parser.add_argument('--height', type=int, default=720, help='image height, pixels (720)')


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare the option for JSON output."""
    parser.add_argument('--json', metavar='FILE', help='write the figures as JSON; - for standard output')


def write_figures(figures: dict[str, Any], destination: str | None) -> None:
    """Print figures as a table and write them as JSON.

    Args:
        figures: Values by name.
        destination: JSON file; '-' prints JSON instead of the table; None writes no JSON.

    Raises:
        BadFile: the file cannot be written.
    """
    text = json.dumps(figures, indent=2)
    if destination == '-':
        print(text)
        return
    for name, value in figures.items():
        print(f'  {name:<24}{value}')
    if destination:
        write_text(destination, text + '\n')


def run(options: argparse.Namespace) -> int:
    """Run the measurement and print or write the figures."""
    width, height = options.width, options.height
    network = (_NETWORK_WIDTH, max(14, round(height * _NETWORK_WIDTH / width / 14) * 14))
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (height, width, 3), np.uint8)
    head = to_ros.header(1, 'camera')
    message = to_ros.image(rgb, 'rgb8', head)
    camera = Camera(width, height, 0.8 * width, 0.8 * width, width / 2, height / 2)
    raw = rng.uniform(4, 64, network[::-1]).astype(np.float32)

    common: list[Stage] = [('recipe', lambda _: _common_implementation(message, network, raw, camera))]
    recipe_ms = _medians(common, max(5, options.repeat // 5))
    keep_freed_memory()  # as the nodes of this package do, unlike nodes with the common implementation
    our_ms = _medians(_our_stages(message, network, raw, camera), options.repeat)
    filters_ms = _medians([('filters', _all_filters(rng, camera))], options.repeat)
    floor_ms = _medians([('floor', _copies(message, width * height))], options.repeat)
    total_ms = sum(our_ms.values())
    figures = {
        'width': width,
        'height': height,
        'network_size': f'{network[0]}x{network[1]}',
        **{f'{name}_ms': round(value, 2) for name, value in our_ms.items()},
        'total_ms': round(total_ms, 2),
        'all_filters_ms': round(filters_ms['filters'], 2),
        'floor_ms': round(floor_ms['floor'], 2),
        'recipe_ms': round(recipe_ms['recipe'], 1),
        'recipe_ratio': round(recipe_ms['recipe'] / total_ms, 1),
    }
    write_figures(figures, options.json)
    return 0


def _all_filters(rng: np.random.Generator, camera: Camera) -> Callable[[Any], DepthMap]:
    """Return a function that applies every filter of a node to a smooth depth map with holes."""
    size = (camera.height, camera.width)
    depth_m = cv2.GaussianBlur(rng.uniform(1, 5, size).astype(np.float32), (0, 0), 3)
    depth_m[::7, ::11] = np.nan
    confidence = cv2.GaussianBlur(rng.random(size, np.float32), (0, 0), 15)
    depth = DepthMap(depth_m, camera, confidence, None, np.zeros(size, np.uint8))
    settings = StereoSettings(filter_edges=True, filter_speckle_px=100, filter_min_confidence=0.49, filter_fill_px=4)
    stabilizer, region = Stabilizer(), np.ones(size, np.uint8)

    def apply(_: Any) -> DepthMap:
        result = filtered(depth, settings)
        return stabilizer.apply(replace(result, depth_m=without_region(result.depth_m, region)))

    return apply


Stage = tuple[str, Callable[[Any], Any]]


def _our_stages(message: Image, network: tuple[int, int], raw: Float32Array, camera: Camera) -> list[Stage]:
    size = (camera.width, camera.height)
    head = message.header
    clouds, rays = CloudMessages(), PixelRays()
    rgb = read_messages.image_pixels(message)
    rules = Preprocess(Resize('stretch', *network, interp='cubic'), Normalize(1 / 255, _MEAN, _STD))
    placement = plan(rules, size)

    def to_metres(disparity_px: Float32Array) -> DepthMap:
        disparity = Disparity(disparity_px, camera.fx, 0.1, 0.0, 64.0)
        return DepthMap(depth_from_disparity(disparity, 0.1, 100.0), camera, None, disparity, rgb, 1, 'camera')

    def to_depth_message(depth: DepthMap) -> DepthMap:
        to_ros.image(depth.depth_m, '32FC1', head)
        return depth

    return [
        ('decode', lambda _: read_messages.image_pixels(message)),
        ('network_input', lambda pixels: tensor_of(pixels, _NETWORK_INPUT, rules, placement)),
        ('upsample', lambda _: np.asarray(cv2.resize(raw, size, interpolation=cv2.INTER_LINEAR))),
        ('metres', to_metres),
        ('depth_message', to_depth_message),
        ('cloud_message', lambda depth: clouds.message(depth, True, 1, head, rays)),
    ]


def _medians(stages: list[Stage], repeat: int) -> dict[str, float]:
    """Run the stages in order, each on the result of the previous one; return median milliseconds by stage."""
    samples: dict[str, list[float]] = {name: [] for name, _ in stages}
    for i in range(repeat + 3):
        value = None
        for name, function in stages:
            started_s = time.perf_counter()
            value = function(value)
            if i >= 3:
                samples[name].append(1e3 * (time.perf_counter() - started_s))
        if sys.stderr.isatty():
            print(f'\r{i + 1:4d} of {repeat + 3}', end='\r', file=sys.stderr, flush=True)
    return {name: float(np.median(values)) for name, values in samples.items()}


def _copies(message: Image, pixels: int) -> Callable[[Any], None]:
    """Return a function that copies as many bytes as a node reads and writes: image, depth image and coloured cloud."""
    sources = [np.zeros(size, np.uint8) for size in (len(message.data), 4 * pixels, 16 * pixels)]
    targets = [np.empty_like(source) for source in sources]

    def copy(_: Any) -> None:
        for target, source in zip(targets, sources, strict=True):
            np.copyto(target, source)

    return copy


def _common_implementation(message: Image, network: tuple[int, int], raw: Float32Array, camera: Camera) -> PointCloud2:
    """Do the same work as most nodes do: float images, meshgrid, stack, a structured array as in sensor_msgs_py."""
    width, height = camera.width, camera.height
    rgb = np.frombuffer(message.data, np.uint8).reshape(height, width, 3)
    floats = (rgb.astype(np.float32) / 255.0 - np.array(_MEAN, np.float32)) / np.array(_STD, np.float32)
    np.ascontiguousarray(cv2.resize(floats, network, interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1)[None])
    disparity = cv2.resize(raw, (width, height), interpolation=cv2.INTER_LINEAR)
    depth = np.where(disparity > 0, camera.fx * 0.1 / disparity, np.nan).astype(np.float32)
    Image(
        header=message.header, width=width, height=height, encoding='32FC1', step=4 * width,
        data=array.array('B', depth.tobytes()),
    )  # fmt: skip
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    x, y = (u - camera.cx) * depth / camera.fx, (v - camera.cy) * depth / camera.fy
    xyz = np.stack((x, y, depth), axis=-1).reshape(-1, 3).astype(np.float32)
    color = rgb.reshape(-1, 3).astype(np.uint32)
    packed = (color[:, 0] << 16 | color[:, 1] << 8 | color[:, 2]).view(np.float32)
    points = np.zeros(len(xyz), dtype=[(name, np.float32) for name in ('x', 'y', 'z', 'rgb')])
    for i, name in enumerate(('x', 'y', 'z')):
        points[name] = xyz[:, i]
    points['rgb'] = packed
    fields = [PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(('x', 'y', 'z', 'rgb'))]
    return PointCloud2(
        header=message.header, width=width, height=height, fields=fields, point_step=16, row_step=16 * width,
        data=array.array('B', points.tobytes()),
    )  # fmt: skip
