"""From the settings to a network that can run: manifest, file, engine, backend."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from depth_ros.errors import ModelError
from depth_ros.networks.catalog import find_manifest, model_file
from depth_ros.networks.input_placement import Size, plan
from depth_ros.networks.manifest import Manifest
from depth_ros.networks.runtimes.gpu import find_gpu
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime, RuntimeOptions, batch_shapes
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.networks.runtimes.runtime import Precision
from depth_ros.networks.runtimes.tensorrt import engine_for
from depth_ros.networks.self_check import PROBE, read_reference, stored_image
from depth_ros.networks.tensor_check import check_tensors, fixed_size
from depth_ros.settings.common_settings import Settings
from depth_ros.types import AnyArray

_LARGEST_BATCH = 8


class LoadedNetwork(NamedTuple):
    """What ``MonoNetwork`` and ``StereoNetwork`` are made of."""

    manifest: Manifest
    backend: OnnxRuntime
    reference: AnyArray | None
    precision: Precision
    input_size: Size | None
    largest_batch: int


def load_network(settings: Settings, watch: ProgressListener, cameras: int = 1) -> LoadedNetwork:
    """Load the network that the settings name; building an engine for it can take minutes.

    Args:
        settings: Name the network and how it runs.
        watch: Told of progress, asked whether to give up.
        cameras: How many cameras will share the network; where the graph allows it, it is prepared for batches of up
            to as many frames.

    Raises:
        ModelError: the network is not known, its file is not here or not right, its licence is not wanted, or it is
            for a simulator only and such models are not allowed.
        InferenceError: what was asked to run it cannot, or the preparation was given up.
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
    path = model_file(manifest, folder)
    options = RuntimeOptions(
        settings.device,  # type: ignore[arg-type]
        settings.allow_fallback,
        settings.threads,
        settings.memory_limit_mb,
        settings.graph_optimization,  # type: ignore[arg-type]
        settings.precision if settings.device == 'tensorrt' else 'fp32',  # type: ignore[arg-type]
    )
    asked = _size(settings.image_size)
    if settings.device == 'tensorrt' and OnnxRuntime.has('tensorrt'):
        return _with_engine(manifest, path, options, asked or PROBE, watch, cameras)
    input_size = plan(manifest.preprocess, asked).size if asked else None
    reference = reference_beside(manifest, path)
    backend = OnnxRuntime(path, options, outputs=_used_outputs(manifest))
    batch = _largest_batch(backend, cameras)
    return LoadedNetwork(manifest, backend, reference, manifest.artifact.precision, input_size, batch)


def _with_engine(
    manifest: Manifest, path: Path, options: RuntimeOptions, image: Size, watch: ProgressListener, cameras: int
) -> LoadedNetwork:
    with closing(OnnxRuntime(path, RuntimeOptions('cpu', optimization='none'))) as described:
        fitting = check_tensors(manifest, described)
        input_size = plan(fitting.preprocess, image, fixed_size(fitting, described)).size
        batch = _largest_batch(described, cameras)
    _, inputs = stored_image(fitting, input_size)
    if batch > 1:
        options = replace(options, batch_shapes=batch_shapes(inputs, batch))
    main = fitting.main_output.name
    main = described.outputs[0].name if main == '*' else main
    engine = engine_for(path, options, inputs, main, find_gpu(), described.version, watch)
    kept = engine / 'reference.npz' if engine else None
    reference = read_reference(kept) if kept is not None and kept.is_file() else reference_beside(manifest, path)
    low = 'fp16' in (options.precision, manifest.artifact.precision)
    backend = OnnxRuntime(path, options, engine, _used_outputs(manifest))
    return LoadedNetwork(manifest, backend, reference, 'fp16' if low else 'fp32', input_size, batch)


def _largest_batch(backend: OnnxRuntime, cameras: int) -> int:
    """Return how many pictures are estimated at once: one, unless every tensor of the graph has a free first axis."""
    free = all(info.shape and info.shape[0] is None for info in (*backend.inputs, *backend.outputs))
    return min(cameras, _LARGEST_BATCH) if free else 1


def reference_beside(manifest: Manifest, path: Path) -> AnyArray | None:
    """Return what full precision gives for the stored picture, where the manifest names a file with it.

    Raises:
        ModelLoadError: the file is missing or damaged.
    """
    name = manifest.artifact.reference
    return read_reference(path.parent / name) if name else None


def _used_outputs(manifest: Manifest) -> tuple[str, ...] | None:
    """Return the names of the outputs that mean something; None = all, where the manifest leaves a name open."""
    used = tuple(output.name for output in manifest.outputs if output.role != 'ignored')
    return None if '*' in used else used


def _size(text: str) -> Size | None:
    if not text:
        return None
    width, height = map(int, text.split('x'))
    return width, height
