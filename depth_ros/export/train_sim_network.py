"""Train the small network that ships with the package, on images of the simulator only. Needs torch.

    python -m depth_ros.export.train_sim_network --out config/models [--minutes 12]

Training is seeded. The frames are rendered in worlds with seeds from 1000 on; the tests use smaller seeds. The input
is a 160x120 image from cameras of various focal lengths, the output is canonical depth (z * 100 / f). The metric scale
follows from the height of the simulated camera: it is mounted level, 0.5 m above the floor.
"""

import argparse
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from depth_ros.sim.render import RobotMount, render
from depth_ros.sim.world import make_world
from depth_ros.types import Camera, Float32Array, UInt8Array

WIDTH, HEIGHT = 160, 120
CANONICAL_FOCAL = 100.0
CAMERA_HEIGHT_M = 0.5
_FIRST_SEED = 1000


def frames(count: int, seed: int) -> tuple[UInt8Array, Float32Array]:
    """Return images (N, H, W, 3) and canonical depths (N, H, W), eight of each world."""
    rng = np.random.default_rng(seed)
    images = np.empty((count, HEIGHT, WIDTH, 3), np.uint8)
    depths = np.empty((count, HEIGHT, WIDTH), np.float32)
    for i in range(count):
        if i % 8 == 0:
            world = make_world(seed + i // 8)
        focal = float(rng.uniform(0.6, 1.2) * WIDTH)
        camera = Camera(WIDTH, HEIGHT, focal, focal, WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5)
        image, depth_m = render(world, world.pose_at(float(rng.uniform(0, 30))), RobotMount(CAMERA_HEIGHT_M), camera)
        images[i], depths[i] = image, depth_m * (CANONICAL_FOCAL / focal)
    return images, depths


def network() -> Any:
    """Return the network: an encoder and a decoder with skip connections; pixel coordinates are part of the input."""
    import torch
    from torch import nn

    def block(inputs: int, outputs: int, stride: int = 1) -> Any:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
        )

    class SimNet(nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            v, u = torch.meshgrid(torch.linspace(-1, 1, HEIGHT), torch.linspace(-1, 1, WIDTH), indexing='ij')
            self.register_buffer('place', torch.stack([u, v])[None])
            widths = (16, 24, 40, 64, 80)
            self.stem = block(5, widths[0], 2)
            self.down = nn.ModuleList(nn.Sequential(block(a, b, 2), block(b, b)) for a, b in pairwise(widths))
            self.up = nn.ModuleList(block(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
            self.head = nn.Conv2d(widths[0], 1, 3, 1, 1)

        def forward(self, image: Any) -> Any:
            x = self.stem(torch.cat([image, self.place.expand(image.shape[0], -1, -1, -1)], 1))
            skips = []
            for down in self.down:
                skips.append(x)
                x = down(x)
            for up in self.up:
                skip = skips.pop()
                x = nn.functional.interpolate(x, size=skip.shape[-2:], mode='nearest')
                x = up(torch.cat([x, skip], 1))
            log_depth = nn.functional.interpolate(self.head(x), size=(HEIGHT, WIDTH), mode='bilinear')
            return torch.exp(log_depth.clamp(-3, 5))

    return SimNet()


def train(minutes: float, count: int, seed: int = _FIRST_SEED) -> Any:
    """Render frames, train for a number of minutes, and return the network."""
    import torch

    torch.manual_seed(seed)
    rendered, depths = frames(count, seed)
    images = torch.from_numpy(rendered).permute(0, 3, 1, 2)
    targets = torch.from_numpy(depths).log()[:, None]
    net, batch = network(), 32
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-4)
    started_s, step, share = time.monotonic(), 0, 0.0
    generator = torch.Generator().manual_seed(seed)
    while share < 1.0:
        for group in optimizer.param_groups:
            group['lr'] = 3e-3 * 0.5 * (1 + np.cos(np.pi * share))
        chosen = torch.randint(0, count, (batch,), generator=generator)
        image, target = _augmented(images[chosen], targets[chosen], generator)
        error = net(image).log() - target
        slope = sum((error.diff(dim=axis)).abs().mean() for axis in (2, 3))
        loss = error.abs().mean() + 0.5 * slope
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step, share = step + 1, (time.monotonic() - started_s) / (60 * minutes)
        if step % 100 == 0:
            print(f'step {step}, {share:.0%} of the time: loss {loss.item():.3f}', flush=True)
    return net.eval()


def _augmented(image: Any, target: Any, generator: Any) -> tuple[Any, Any]:
    """Mirror frames at random, and vary brightness, colour and noise of the images."""
    import torch

    x = image.float() / 255
    count = x.shape[0]
    mirror = torch.rand(count, generator=generator) < 0.5
    x[mirror], target = x[mirror].flip(-1), torch.where(mirror[:, None, None, None], target.flip(-1), target)
    gain = 0.6 + 0.8 * torch.rand(count, 3, 1, 1, generator=generator)
    noise = 0.02 * torch.randn(x.shape, generator=generator)
    return (x * gain + noise).clamp(0, 1), target


def save(net: Any, out: Path) -> None:
    """Write the ONNX file."""
    import onnx
    import torch

    torch.onnx.export(
        net, (torch.zeros(1, 3, HEIGHT, WIDTH),), str(out), input_names=['image'], output_names=['depth'],
        opset_version=17, dynamo=False,
    )  # fmt: skip
    onnx.save(with_half_precision_coordinates(onnx.load(out)), out)


def with_half_precision_coordinates(model: Any) -> Any:
    """Store the pixel coordinates, a tenth of the file, as float16; the runtime converts them at load."""
    from onnx import TensorProto, helper, numpy_helper

    constants = [node for node in model.graph.node if node.op_type == 'Constant']
    tensors = [(node.attribute[0].t, node.output[0]) for node in constants]
    tensors += [(initializer, initializer.name) for initializer in model.graph.initializer]
    for tensor, name in tensors:
        if list(tensor.dims) == [1, 2, HEIGHT, WIDTH]:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            for node in constants:
                if node.output[0] == name:
                    model.graph.node.remove(node)
            for initializer in [i for i in model.graph.initializer if i.name == name]:
                model.graph.initializer.remove(initializer)
            model.graph.initializer.append(numpy_helper.from_array(values, f'{name}_half'))
            model.graph.node.insert(0, helper.make_node('Cast', [f'{name}_half'], [name], to=TensorProto.FLOAT))
    return model


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the network and save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True, help='folder in which sim-indoor.onnx is written')
    parser.add_argument('--minutes', type=float, default=12.0, help='duration of training, minutes (default: 12)')
    parser.add_argument('--frames', type=int, default=6400, help='number of frames to render (default: 6400)')
    options = parser.parse_args(arguments)
    net = train(options.minutes, options.frames)
    save(net, options.out / 'sim-indoor.onnx')


if __name__ == '__main__':
    main()
