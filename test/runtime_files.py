"""Files of one small network for every runtime, for the tests that every runtime must pass."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from onnx import helper
from tiny_model import mean_of_channels, save

from depth_ros.networks.runtimes.runtime import TensorInfo


@dataclass(frozen=True)
class RuntimeFiles:
    """How a runtime's files are written; their network computes the mean of the channels of ``image``, plus 1."""

    runtime: str
    """Name in the registry."""
    library: str
    suffix: str
    write: Callable[[Path], Path]
    """Write a network that accepts any size."""
    write_slow: Callable[[Path], Path]
    """Write a network whose runs take hundreds of milliseconds for an image of 120x160."""
    write_unknown: Callable[[Path], Path] | None
    """Write a network with an unknown operator; None = the format cannot contain one."""
    output: str
    layout: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    def image(self, height: int = 48, width: int = 64, value: float = 6.0):
        """Return an image as this runtime takes it."""
        shape = (1, 3, height, width) if self.layout == 'NCHW' else (1, height, width, 3)
        return {'image': np.full(shape, value, np.float32)}

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of the output."""
        return (1, 1, height, width) if self.layout == 'NCHW' else (1, height, width, 1)


def _slow_onnx(path):
    weight = np.full((3, 3, 31, 31), 1e-6, np.float32)
    names = ['image', *(f't{i}' for i in range(200))]
    nodes = [helper.make_node('Conv', [a, 'weight'], [b], pads=[15] * 4) for a, b in pairwise(names)]
    nodes.append(helper.make_node('ReduceMean', [names[-1]], ['depth'], axes=[1]))
    return save(path, nodes, constants=[('weight', weight)])


def _unknown_onnx(path):
    return save(path, [helper.make_node('NoSuchOperator', ['image'], ['depth'])], out=(1, 3, 'h', 'w'))


def _tflite(name, *arguments):
    def write(path):
        import tiny_tflite

        return getattr(tiny_tflite, name)(path, *arguments)

    return write


def _torch_module(slow):
    import torch

    class Tiny(torch.nn.Module):
        def __init__(self):
            super().__init__()
            layers = [torch.nn.Conv2d(3, 3, 31, padding=15) for _ in range(6 if slow else 0)]
            self.layers = torch.nn.Sequential(*layers)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.layers(image).mean(1, keepdim=True) + 1

    return Tiny().eval()


def _script(slow):
    def write(path):
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # TorchScript is deprecated
            torch.jit.script(_torch_module(slow)).save(str(path))
        return path

    return write


def _program(slow):
    def write(path):
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            side = torch.export.Dim
            program = torch.export.export(
                _torch_module(slow),
                (torch.zeros(1, 3, 48, 64),),
                dynamic_shapes={'image': {2: side('h'), 3: side('w')}},
            )
            torch.export.save(program, str(path))
        return path

    return write


def _info(name, *shape):
    return (TensorInfo(name, 'float32' if shape else '', shape),)


_NCHW = _info('image', 1, 3, None, None)
FILES = {
    'onnxruntime': RuntimeFiles(
        'onnxruntime', 'onnxruntime', '.onnx', mean_of_channels, _slow_onnx, _unknown_onnx, 'depth', 'NCHW', _NCHW,
        _info('depth', 1, 1, None, None),
    ),
    'litert': RuntimeFiles(
        'litert', 'ai_edge_litert', '.tflite', _tflite('mean_of_channels'), _tflite('convolutions', 2, 31),
        _tflite('unknown_operator'), 'depth', 'NHWC', _info('image', 1, None, None, 3), _info('depth', 1, None, None, 1),
    ),
    'torchscript': RuntimeFiles(
        'torch', 'torch', '.pt', _script(False), _script(True), None, 'output', 'NCHW', _info('image'), _info('output')
    ),
    'torch.export': RuntimeFiles(
        'torch', 'torch', '.pt2', _program(False), _program(True), None, 'output', 'NCHW', _NCHW,
        _info('output', 1, 1, None, None),
    ),
}  # fmt: skip
