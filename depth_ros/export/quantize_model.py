"""Quantisation of ONNX networks to INT8 with the user's own images (static, QDQ), compared with full precision.

Activations are unsigned, weights signed with 7 bits per channel: on x86 CPUs without VNNI, products of 8-bit weights
exceed the 16-bit sums (ONNX Runtime, "Quantize ONNX models", reduce_range). What follows the last convolution or matrix
product, and this operator itself, stay in floating point, so that the depth has no steps.
"""

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from depth_ros import __version__
from depth_ros.errors import ModelError, ModelLoadError, ModelMismatch
from depth_ros.export.calibration_frames import QuantizationFrames
from depth_ros.export.export_model import write_manifest
from depth_ros.files.install_command import install_command
from depth_ros.files.model_cache import cache_folder, sha256
from depth_ros.networks.catalog import model_file
from depth_ros.networks.input_placement import plan
from depth_ros.networks.manifest import Artifact, Manifest
from depth_ros.networks.network_estimator import MonoNetwork, StereoNetwork
from depth_ros.networks.preprocess import prepare
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.registry import ONNX_RUNTIME
from depth_ros.networks.runtimes.runtime import RuntimeOptions
from depth_ros.networks.tensor_check import check_tensors, fixed_size
from depth_ros.types import AnyArray, Float32Array, Frame, StereoFrame

_WEIGHTED = ('Conv', 'ConvTranspose', 'Gemm', 'MatMul')
_QUANTIZED = ('QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear')
_MIN_TIMED_RUNS = 20


@dataclass(frozen=True)
class QuantizationReport:
    """Comparison of a quantised network with the original, on held-out frames and on the CPU of this machine."""

    id: str
    calibration_frames: int
    held_out_frames: int
    size_mb: tuple[float, float]
    """Size of the original and of the quantised file, megabytes (10^6 bytes)."""
    median_ms: tuple[float, float]
    """Median time from image to depth, original and quantised, measured alternately."""
    mean_difference: float
    """Mean of ``difference_to`` over the held-out frames."""
    largest_difference: float
    """That of the frame with the largest difference."""
    limit: float

    @property
    def refused(self) -> bool:
        """Whether the difference is above the limit."""
        return not self.mean_difference <= self.limit


def quantize(
    manifest: Manifest, folder: Path, frames: QuantizationFrames, source: str, limit: float
) -> QuantizationReport:
    """Quantise a network, compare it with the original, and store it in the cache under the id ``<id>-int8``.

    Args:
        manifest: Description of the network.
        folder: Folder of its files.
        frames: Frames for calibration and for the comparison.
        source: Origin of the frames, for the manifest of the result.
        limit: Largest mean difference to full precision with which the result is stored (``difference_to``).

    Returns:
        The report. If it is refused, nothing was stored, and an earlier result is unchanged.

    Raises:
        ModelError: the network cannot be quantised, or the onnx package is missing.
        EstimatorError: the network failed on a frame.
    """
    onnx = _require_onnx()
    path = _quantizable_file(manifest, folder, onnx)
    name = f'{manifest.id}-int8'
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{name}-', dir=cache_folder()) as scratch:
        result = Path(scratch) / f'{name}.onnx'
        _write_quantized(manifest, path, frames.calibration, result, onnx)
        origin = (
            f'{manifest.id} (sha256 {sha256(path)}), quantised by depth-ros {__version__} with '
            f'{len(frames.calibration)} frames of {source}'
        )
        size_mb = round(result.stat().st_size / 1e6, 2)
        artifact = Artifact(
            origin, result.name, sha256(result), size_mb=size_mb, dynamic=manifest.artifact.dynamic,
            opset=manifest.artifact.opset,
        )  # fmt: skip
        described = replace(manifest, id=name, artifact=artifact, bridge=None, published='', verified='')
        report = _compared((manifest, path), (described, result), frames, limit)
        if not report.refused:
            measured = f'mean difference to {manifest.id} on {report.held_out_frames} held-out frames'
            write_manifest(replace(described, verified=f'{measured}: {report.mean_difference:.2%}'), result)
            _store(Path(scratch), cache_folder() / name)
    return report


def difference_to(expected: Float32Array, actual: Float32Array, affine: bool) -> float:
    """Return the mean difference of two predictions over the pixels that are finite in the first.

    Args:
        expected: (H, W) in full precision.
        actual: (H, W) quantised.
        affine: Whether the predictions have an unknown scale and shift. The difference is then relative to the range of
            the values (5th to 95th percentile), otherwise to each value, as AbsRel.

    Returns:
        Pixels that are not finite in the second count as 1; NaN if no pixel is finite in the first.
    """
    known = np.isfinite(expected)
    if not known.any():
        return float('nan')
    values, others = expected[known].astype(np.float64), actual[known].astype(np.float64)
    low, high = np.percentile(values, (5, 95))
    floor = max(1e-3 * float(np.median(np.abs(values))), 1e-12)
    unit = max(high - low, floor) if affine else np.maximum(np.abs(values), floor)
    return float(np.where(np.isfinite(others), np.abs(others - values) / unit, 1.0).mean())


def _require_onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise ModelLoadError(
            f'quantisation needs the onnx package (extra quantize; {error}): {install_command("quantize")}'
        ) from error
    return onnx


def _quantizable_file(manifest: Manifest, folder: Path, onnx: Any) -> Path:
    """Return the file of a network that is an ONNX graph in full precision.

    Raises:
        ModelError: it is something else.
    """
    if ONNX_RUNTIME not in manifest.runtime.backends:
        raise ModelError(
            f'{manifest.id} is a model for {", ".join(manifest.runtime.backends)}; expected an ONNX model, which is '
            'what depth-ros models quantize supports (depth-ros models list shows the runtimes)'
        )
    path = model_file(manifest, folder)
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf raises its own types for damaged files
        raise ModelLoadError(f'{path} is not a readable ONNX file: {error}') from error
    halves = {each.name for each in graph.initializer if each.data_type == onnx.TensorProto.FLOAT16}
    computes_half = any(halves & set(node.input) for node in graph.node if node.op_type in _WEIGHTED)
    if manifest.artifact.precision != 'fp32' or computes_half:
        raise ModelError(f'{path} is in half precision; expected full precision. Quantise the fp32 file of this model')
    operators = {node.op_type for node in graph.node}
    quantized = {each for each in operators if each in _QUANTIZED or each.startswith('QLinear') or 'Integer' in each}
    if quantized:
        raise ModelError(
            f'{path} is already quantised (it contains {", ".join(sorted(quantized))}); expected a file in full '
            'precision'
        )
    return path


def _write_quantized(
    manifest: Manifest, path: Path, frames: Sequence[Frame | StereoFrame], out: Path, onnx: Any
) -> None:
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with closing(OnnxRuntime(path, RuntimeOptions('cpu'))) as runtime:
        checked = check_tensors(manifest, runtime)
        tensors = _tensors(checked, runtime, frames)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Mapping[str, AnyArray] | None:
            return next(tensors, None)

    prepared = out.with_name('prepared.onnx')
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # its warnings recommend the preparation that has just been done
    try:
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared, out, Reader(), quant_format=quantization.QuantFormat.QDQ, per_channel=True, reduce_range=True,
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=_in_floating_point(onnx.load(prepared, load_external_data=False).graph),
        )  # fmt: skip
    except Exception as error:  # onnx, ONNX Runtime and protobuf raise their own types, also for lack of memory
        raise ModelError(f'{path} cannot be quantised by onnxruntime.quantization: {error}') from error
    finally:
        logging.root.setLevel(level)
        prepared.unlink(missing_ok=True)


def _tensors(
    manifest: Manifest, runtime: OnnxRuntime, frames: Sequence[Frame | StereoFrame]
) -> Iterator[dict[str, AnyArray]]:
    """Return the inputs of the network for frames, one after the other; the first frame fixes the input size."""
    size = fixed_size(manifest, runtime)

    def all_tensors() -> Iterator[dict[str, AnyArray]]:
        chosen = size
        for frame in frames:
            left, right, camera = _images(frame)
            placement = plan(manifest.preprocess, (left.shape[1], left.shape[0]), chosen)
            chosen = chosen or placement.size
            yield prepare(manifest, placement, left, right, camera)

    return all_tensors()


def _images(frame: Frame | StereoFrame) -> tuple[Any, Any, Any]:
    """Return the image or the left image, the right image or None, and the camera or None."""
    if isinstance(frame, StereoFrame):
        return frame.left, frame.right, frame.rig.left
    return frame.image, None, frame.camera


def _in_floating_point(graph: Any) -> list[str]:
    """Return the names of the nodes from the last weighted operators of the graph to its outputs."""
    producers = {name: node for node in graph.node for name in node.output}
    names, waiting = set(), [output.name for output in graph.output]
    while waiting:
        node = producers.get(waiting.pop())
        if node is None or node.name in names:
            continue
        names.add(node.name)
        if node.op_type not in _WEIGHTED:
            waiting += node.input
    return sorted(names)


def _compared(
    original: tuple[Manifest, Path], quantized: tuple[Manifest, Path], frames: QuantizationFrames, limit: float
) -> QuantizationReport:
    """Run both networks alternately on the held-out frames, several times if there are few."""
    affine = 'scale_shift' in original[0].needs
    times_ms: tuple[list[float], list[float]] = ([], [])
    differences: list[float] = []
    with closing(_network(*original)) as before, closing(_network(*quantized)) as after:
        repeats = -(-_MIN_TIMED_RUNS // len(frames.held_out))
        _predicted(before, frames.held_out[0]), _predicted(after, frames.held_out[0])
        for turn in range(repeats):
            for frame in frames.held_out:
                results = []
                for network, measured in zip((before, after), times_ms, strict=True):
                    started_s = time.perf_counter()
                    results.append(_predicted(network, frame))
                    measured.append(1e3 * (time.perf_counter() - started_s))
                if not turn:
                    differences.append(difference_to(results[0], results[1], affine))
    sizes = [round(path.stat().st_size / 1e6, 2) for _, path in (original, quantized)]
    medians = [round(float(np.median(each)), 2) for each in times_ms]
    return QuantizationReport(
        quantized[0].id, len(frames.calibration), len(frames.held_out), (sizes[0], sizes[1]), (medians[0], medians[1]),
        float(np.mean(differences)), float(np.max(differences)), limit,
    )  # fmt: skip


def _network(manifest: Manifest, path: Path) -> MonoNetwork | StereoNetwork:
    kind = MonoNetwork if manifest.task == 'mono' else StereoNetwork
    return kind(manifest, OnnxRuntime(path, RuntimeOptions('cpu')))


def _predicted(network: MonoNetwork | StereoNetwork, frame: Frame | StereoFrame) -> Float32Array:
    """Return depth, relative depth or disparity."""
    if isinstance(network, MonoNetwork) and isinstance(frame, Frame):
        return network.estimate(frame).values
    if isinstance(network, StereoNetwork) and isinstance(frame, StereoFrame):
        return network.estimate(frame).disparity_px
    raise ModelMismatch(f'{network.name} cannot be run on a {type(frame).__name__}; stereo networks need pairs')


def _store(scratch: Path, target: Path) -> None:
    """Replace the files of an earlier result; the manifest, by which the result is found, comes last."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(scratch.iterdir()):  # .onnx before .yaml
        shutil.move(path, target / path.name)
