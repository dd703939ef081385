"""Load the network that the settings name: manifest, file, engine, runtime."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from depth_ros.errors import ModelError
from depth_ros.networks.catalog import find_manifest, model_file
from depth_ros.networks.half_precision import reference_of_half_precision
from depth_ros.networks.input_placement import Size, plan
from depth_ros.networks.manifest import Manifest
from depth_ros.networks.runtimes.gpu import find_gpu
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime, batch_shapes
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.networks.runtimes.registry import ONNX_RUNTIME, RUNTIMES, registered_runtime
from depth_ros.networks.runtimes.runtime import Precision, Runtime, RuntimeOptions
from depth_ros.networks.runtimes.tensorrt import engine_for
from depth_ros.networks.self_check import SELF_CHECK_SIZE, read_reference, self_check_input
from depth_ros.networks.tensor_check import check_tensors, fixed_size
from depth_ros.settings.common_settings import Settings
from depth_ros.types import AnyArray

_MAX_BATCH = 8


class LoadedNetwork(NamedTuple):
    """The arguments of ``MonoNetwork`` and ``StereoNetwork``, in order."""

    manifest: Manifest
    runtime: Runtime
    reference: AnyArray | None
    precision: Precision
    input_size: Size | None
    largest_batch: int


def load_network(settings: Settings, listener: ProgressListener, cameras: int = 1) -> LoadedNetwork:
    """Load the network that the settings name. Building an engine for it can take minutes.

    Args:
        settings: Parameters of the node; they name the network and the device.
        listener: Receives progress, and is polled for cancellation.
        cameras: Number of cameras that will share the network. If the graph allows it, the network is prepared for
            batches of up to this number of frames.

    Raises:
        ModelError: the network is unknown, its file is missing or invalid, no registered runtime can run it, its
            licence is refused by ``commercial_only``, or it is for a simulator only and such models are not allowed.
        InferenceError: the device is unavailable, or the preparation was cancelled.
    """
    manifest, folder = find_manifest(settings.model)
    if settings.commercial_only and manifest.license.commercial is not True:
        raise ModelError(
            f'{manifest.id} is refused: commercial_only is true, and its licence (code {manifest.license.code}, '
            f'weights {manifest.license.weights}) does not clearly allow commercial use. See depth-ros models list'
        )
    if manifest.simulator_only and not settings.allow_simulator_model:
        raise ModelError(
            f'{manifest.id} is valid for images of a simulator only, and allow_simulator_model is false. Set model to '
            'a network for real cameras (depth-ros models list); with a simulated camera, set '
            'allow_simulator_model: true'
        )
    runtime_name = registered_runtime(manifest.runtime.backends, manifest.id)
    path = model_file(manifest, folder)
    options = RuntimeOptions(
        settings.device,  # type: ignore[arg-type]
        settings.allow_fallback,
        settings.threads,
        settings.memory_limit_mb,
        settings.graph_optimization,  # type: ignore[arg-type]
        settings.precision if settings.device == 'tensorrt' else 'fp32',  # type: ignore[arg-type]
        device_id=settings.device_id,
    )
    image_size = _size(settings.image_size)
    if runtime_name == ONNX_RUNTIME and settings.device == 'tensorrt' and OnnxRuntime.has('tensorrt'):
        return _load_with_engine(manifest, path, options, image_size or SELF_CHECK_SIZE, listener, cameras)
    input_size = plan(manifest.preprocess, image_size).size if image_size else None
    reference = reference_beside(manifest, path)
    runtime = RUNTIMES[runtime_name](path, options, outputs=_used_outputs(manifest))
    precision = manifest.artifact.precision
    if runtime_name == ONNX_RUNTIME and reference is None:
        with _closed_on_error(runtime):
            reference, precision = reference_of_half_precision(manifest, path, runtime, input_size, listener)
    batch = _largest_batch(runtime, cameras)
    return LoadedNetwork(manifest, runtime, reference, precision, input_size, batch)


@contextmanager
def _closed_on_error(runtime: Runtime) -> Iterator[None]:
    try:
        yield
    except BaseException:
        runtime.close()
        raise


def _load_with_engine(
    manifest: Manifest, path: Path, options: RuntimeOptions, image: Size, listener: ProgressListener, cameras: int
) -> LoadedNetwork:
    """Load a network with an engine for ONNX Runtime's TensorRT provider, for images of one size."""
    with closing(OnnxRuntime(path, RuntimeOptions('cpu', optimization='none'))) as uncompiled:
        checked = check_tensors(manifest, uncompiled)
        input_size = plan(checked.preprocess, image, fixed_size(checked, uncompiled)).size
        batch = _largest_batch(uncompiled, cameras)
    _, inputs = self_check_input(checked, input_size)
    if batch > 1:
        options = replace(options, batch_shapes=batch_shapes(inputs, batch))
    main = checked.main_output.name
    main = uncompiled.outputs[0].name if main == '*' else main
    engine = engine_for(path, options, inputs, main, find_gpu(options.device_id), uncompiled.version, listener)
    stored = engine / 'reference.npz' if engine else None
    reference = read_reference(stored) if stored is not None and stored.is_file() else reference_beside(manifest, path)
    precision: Precision = 'fp16' if 'fp16' in (options.precision, manifest.artifact.precision) else 'fp32'
    runtime = RUNTIMES[ONNX_RUNTIME](path, options, engine, _used_outputs(manifest))
    if reference is None:
        with _closed_on_error(runtime):
            reference, precision = reference_of_half_precision(manifest, path, runtime, input_size, listener)
    return LoadedNetwork(manifest, runtime, reference, precision, input_size, batch)


def _largest_batch(runtime: Runtime, cameras: int) -> int:
    """Return the largest batch: 1, unless the first axis of every tensor of the graph is dynamic."""
    dynamic = all(info.shape and info.shape[0] is None for info in (*runtime.inputs, *runtime.outputs))
    return min(cameras, _MAX_BATCH) if dynamic else 1


def reference_beside(manifest: Manifest, path: Path) -> AnyArray | None:
    """Return the full-precision output for the self-check image; None if the manifest names no reference file.

    Raises:
        ModelLoadError: the file is missing or damaged.
    """
    name = manifest.artifact.reference
    return read_reference(path.parent / name) if name else None


def _used_outputs(manifest: Manifest) -> tuple[str, ...] | None:
    """Return the names of the outputs that are used; None = all, if the manifest leaves a name open (``*``)."""
    used = tuple(name for each in manifest.outputs if each.role != 'ignored' for name in (each.name, *each.also))
    return None if '*' in used else used


def _size(text: str) -> Size | None:
    if not text:
        return None
    width, height = map(int, text.split('x'))
    return width, height
