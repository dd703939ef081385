"""The registry of runtimes: the only place where a runtime is registered by name.

A manifest lists the names of the runtimes that can run its file under ``runtime.backends``, in order of preference.
``KserveRuntime`` opens no file and is not registered; ``device: remote`` uses it for any manifest (``open_network``).
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

from depth_ros.errors import ModelLoadError
from depth_ros.networks.runtimes.litert_runtime import LitertRuntime
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.runtime import Runtime, RuntimeOptions
from depth_ros.networks.runtimes.torch_runtime import TorchRuntime


class OpenRuntime(Protocol):
    """A runtime: opens the file of a network."""

    def __call__(
        self,
        path: Path,
        options: RuntimeOptions,
        engines: Path | None = None,
        outputs: Collection[str] | None = None,
    ) -> Runtime:
        """Open a file.

        Args:
            path: File of the network.
            options: Options of the session.
            engines: Folder of the compiled engine; None = no engine is stored.
            outputs: Names of the outputs to compute; None = all.

        Raises:
            ModelLoadError: the file is missing, damaged, or needs another runtime.
            DeviceUnavailable: the device or the runtime's library is unavailable.
        """
        ...

    def has(self, device: str) -> bool:
        """Return whether the installed library can use a device.

        Raises:
            DeviceUnavailable: the library is not installed.
        """
        ...


ONNX_RUNTIME = 'onnxruntime'

RUNTIMES: dict[str, OpenRuntime] = {ONNX_RUNTIME: OnnxRuntime, 'litert': LitertRuntime, 'torch': TorchRuntime}
"""Every registered runtime: its name in manifests, which is also that of its extra in setup.py, and its class."""


def registered_runtime(names: Iterable[str], model: str) -> str:
    """Return the first name that is registered.

    Args:
        names: Names of runtimes in order of preference (``runtime.backends`` of a manifest).
        model: Id of the model, for the error.

    Raises:
        ModelLoadError: none of the names is registered.
    """
    names = tuple(names)
    for name in names:
        if name in RUNTIMES:
            return name
    raise ModelLoadError(
        f'{model}: runtime.backends of its manifest is {", ".join(names) or "empty"}; expected one of the registered '
        f'runtimes: {", ".join(RUNTIMES)}. Choose another model (depth-ros models list), or register the runtime in '
        'depth_ros/networks/runtimes/registry.py'
    )
