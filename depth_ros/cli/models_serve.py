"""``depth-ros models serve``: models as a repository for Triton."""

import argparse
from contextlib import closing
from pathlib import Path
from typing import Any

from depth_ros.errors import ModelLoadError
from depth_ros.networks.catalog import find_manifest, model_file
from depth_ros.networks.load_network import load_network
from depth_ros.networks.model_repository import write_model
from depth_ros.networks.network_estimator import MonoNetwork, StereoNetwork
from depth_ros.networks.runtimes.progress import NO_LISTENER
from depth_ros.networks.runtimes.registry import ONNX_RUNTIME, registered_runtime
from depth_ros.settings.node_settings import MonoSettings, StereoSettings


def add_serve(actions: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Declare the action."""
    serving = actions.add_parser(
        'serve', help='write ONNX models as a model repository, the folder that an inference server (Triton) reads'
    )
    serving.add_argument('ids', metavar='ID|FILE', nargs='+', help='id of a model, its manifest, or its model file')
    serving.add_argument(
        '--out', type=Path, required=True, metavar='DIR', help='folder of the repository; one folder per model is added'
    )
    serving.set_defaults(action=_serve)


def _serve(options: argparse.Namespace) -> int:
    """Check every model as a node does when it loads it, and write it."""
    for model in options.ids:
        manifest, folder = find_manifest(model)
        runtime = registered_runtime(manifest.runtime.backends, manifest.id)
        if runtime != ONNX_RUNTIME:
            raise ModelLoadError(
                f'{manifest.id} is a file for {runtime}; expected ONNX. Choose another model (depth-ros models list)'
            )
        mono = manifest.task == 'mono'
        values: dict[str, Any] = {'model': model, 'device': 'cpu', 'allow_simulator_model': True}
        loaded = load_network((MonoSettings if mono else StereoSettings)(**values), NO_LISTENER)
        with closing((MonoNetwork if mono else StereoNetwork)(*loaded)):
            tensors = loaded.runtime.inputs, loaded.runtime.outputs
        written = write_model(manifest.id, model_file(manifest, folder), *tensors, options.out)
        print(f'{written}: parameters of the node: model: {model}, device: remote, url: grpc://HOST:8001/{manifest.id}')
    return 0
