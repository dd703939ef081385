"""Sessions of ONNX Runtime: their options and those of the providers."""

from pathlib import Path
from typing import Any

from depth_ros.networks.runtimes.runtime import RuntimeOptions

PROVIDERS = {
    'tensorrt': 'TensorrtExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'openvino': 'OpenVINOExecutionProvider',
    'cpu': 'CPUExecutionProvider',
}
"""The provider of each device."""


def open_session(
    library: Any, path: Path, device: str, options: RuntimeOptions, engines: Path | None = None, graph: bool = False
) -> Any:
    """Return an ``onnxruntime.InferenceSession``; it may run on another provider, without an error.

    Args:
        library: The module onnxruntime.
        path: The ONNX file.
        device: Device, except auto.
        options: Options of the session.
        engines: Folder of TensorRT's engine; None = the engine is not stored.
        graph: Whether the session can capture CUDA graphs.

    Raises:
        Exception: any error of ONNX Runtime.
    """
    settings = library.SessionOptions()
    settings.intra_op_num_threads = options.cpu_threads
    settings.inter_op_num_threads = 1
    # Spinning threads would take the cores that the executor needs to receive images.
    settings.add_session_config_entry('session.intra_op.allow_spinning', '0')
    level = {'all': 'ENABLE_ALL', 'extended': 'ENABLE_EXTENDED', 'basic': 'ENABLE_BASIC', 'none': 'DISABLE_ALL'}
    settings.graph_optimization_level = getattr(library.GraphOptimizationLevel, f'ORT_{level[options.optimization]}')
    settings.log_severity_level = 3
    return library.InferenceSession(str(path), settings, providers=providers(device, options, engines, graph))


def providers(
    device: str, options: RuntimeOptions, engines: Path | None, graph: bool
) -> list[tuple[str, dict[str, Any]]]:
    """Return the providers for a device in order of preference, with their options.

    The options are those of onnxruntime.ai: CUDA, TensorRT and OpenVINO execution provider.
    """
    settings: dict[str, dict[str, Any]] = {'cpu': {}}
    if device == 'openvino':
        settings = {device: {'device_type': f'GPU.{options.device_id}'} if options.device_id else {}, **settings}
    if device in ('cuda', 'tensorrt'):
        limit = {'gpu_mem_limit': options.memory_limit_mb << 20} if options.memory_limit_mb else {}
        captured = {'enable_cuda_graph': True} if graph and device == 'cuda' else {}
        cuda = {'device_id': options.device_id, 'arena_extend_strategy': 'kSameAsRequested', **limit, **captured}
        settings = {'cuda': cuda, **settings}
    if device == 'tensorrt':
        settings = {device: tensorrt_options(options, engines, graph), **settings}
    return [(PROVIDERS[name], values) for name, values in settings.items()]


def tensorrt_options(options: RuntimeOptions, engines: Path | None, graph: bool = False) -> dict[str, Any]:
    """Return the options of the TensorRT provider."""
    settings: dict[str, Any] = {'device_id': options.device_id, 'trt_fp16_enable': options.precision == 'fp16'}
    if graph:
        settings['trt_cuda_graph_enable'] = True
    if options.memory_limit_mb:
        settings['trt_max_workspace_size'] = options.memory_limit_mb << 20
    if options.batch_shapes is not None:
        smallest, largest = options.batch_shapes
        settings |= {'trt_profile_min_shapes': smallest, 'trt_profile_max_shapes': largest}
        settings['trt_profile_opt_shapes'] = largest  # batches form under load
    if engines is not None:
        folder = str(engines)
        settings |= {'trt_engine_cache_enable': True, 'trt_engine_cache_path': folder}
        settings |= {'trt_timing_cache_enable': True, 'trt_timing_cache_path': folder}
    return settings
