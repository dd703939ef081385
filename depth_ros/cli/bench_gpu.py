"""``depth-ros bench gpu``: speed of networks in every runtime on every device of this machine. Needs no ROS."""

import argparse
import json
import logging
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from depth_ros.cli.argument_types import not_negative
from depth_ros.cli.bench_stereo import positive, write_text

if TYPE_CHECKING:
    from depth_ros.evaluation.runtime_benchmark import BenchmarkedFile, RunFigures

_EPILOG = """Without --model, two networks with random weights are made with torch and transformers: Depth Anything v2
small at 518x518 and a stereo network at 960x576. They are also measured in torch: eager, compiled, and in half
precision on a GPU. Every device that a runtime has is measured, including the CPU.

Times are in ms, from arrays in the memory of the host to arrays there. "over bare" is the median difference to bare
ONNX Runtime (session.run) with the same file, device and options; the two take turns. "image to depth" includes
preprocessing and postprocessing. Upload and download are measured from and to page-locked memory in the row of
depth_ros, and ordinary memory in that of bare ONNX Runtime. The table is Markdown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        '--model', action='append', default=[], metavar='ID|FILE', help='measure this model; repeat it for several'
    )
    parser.add_argument('--device-id', type=not_negative, default=0, metavar='N', help='number of the CUDA device (0)')
    parser.add_argument('--repeat', type=positive, default=200, metavar='N', help='measured runs of each kind (200)')
    parser.add_argument('--json', metavar='FILE', help='write the figures as JSON; - for standard output')


def run(options: argparse.Namespace) -> int:
    """Run the benchmark and print or write the figures; return 1 if nothing could be measured."""
    from depth_ros.evaluation.runtime_benchmark import json_figures, markdown_figures

    logging.basicConfig(level=logging.WARNING)
    about = _machine(options)
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for row in _figures(options, Path(folder)):
            rows.append(row)
            print(f'{row.network}, {row.device}: {row.way}: {row.problem or row.p50_ms}', file=sys.stderr)
    if options.json:
        write_text(options.json, json.dumps(json_figures(rows, about), indent=1) + '\n')
    if options.json != '-':
        print('  '.join(f'{name}: {value}' for name, value in about.items()), end='\n\n')
        print(markdown_figures(rows))
    return 0 if any(not row.problem for row in rows) else 1


def _figures(options: argparse.Namespace, folder: Path) -> 'Iterator[RunFigures]':
    from depth_ros.evaluation.runtime_benchmark import all_figures

    if options.model:
        yield from all_figures(_named(options.model), options.device_id, options.repeat, folder)
        return
    from depth_ros.export.benchmark_networks import mono_network, require_libraries, stereo_network, torch_figures
    from depth_ros.networks.runtimes.gpu import cuda_device_count

    require_libraries()
    for files, module in (mono_network(folder, half=bool(cuda_device_count())), stereo_network(folder)):
        yield from all_figures(files, options.device_id, options.repeat, folder)
        yield from torch_figures(files[0], module, options.device_id, options.repeat)


def _named(models: list[str]) -> 'list[BenchmarkedFile]':
    from depth_ros.evaluation.runtime_benchmark import BenchmarkedFile
    from depth_ros.networks.catalog import find_manifest, model_file

    found = (find_manifest(model) for model in models)
    return [
        BenchmarkedFile(manifest.id, manifest, model_file(manifest, folder), manifest.artifact.precision)
        for manifest, folder in found
    ]


def _machine(options: argparse.Namespace) -> dict[str, Any]:
    """Return facts about the machine that the figures depend on."""
    import onnxruntime

    from depth_ros.networks.runtimes.gpu import cuda_device_count, gpu_name
    from depth_ros.networks.runtimes.runtime import DEFAULT_OPTIONS

    return {
        'gpu': gpu_name(options.device_id) if cuda_device_count() else None,
        'cpu': platform.processor() or platform.machine(),
        'threads': DEFAULT_OPTIONS.cpu_threads,
        'onnxruntime': onnxruntime.__version__,
        'repeat': options.repeat,
    }
