"""Checks of what a node needs to run its network: model file, device and engine."""

import shlex
from collections.abc import Iterator
from contextlib import closing

from depth_ros.doctor.finding import Finding
from depth_ros.errors import BadSettings, DeviceUnavailable, InferenceError, ModelError
from depth_ros.files.install_command import install_command
from depth_ros.files.model_cache import cache_folder
from depth_ros.messages.scale_sensors import check_prompt_source
from depth_ros.networks.catalog import command_to_get, find_manifest, model_file
from depth_ros.networks.runtimes.gpu import find_gpu
from depth_ros.networks.runtimes.registry import ONNX_RUNTIME, RUNTIMES, registered_runtime
from depth_ros.pipeline import check_model, mono_estimator, stereo_estimator
from depth_ros.settings.node_settings import MonoSettings, MultiviewSettings, NodeSettings, StereoSettings

_INSTALL = {
    'tensorrt': f'{install_command("gpu")}, and install TensorRT (docs/gpu.md); or set device: cpu',
    'cuda': f'{install_command("gpu")} (docs/gpu.md), or set device: cpu',
    'openvino': 'pip install onnxruntime-openvino, or set device: cpu',
}
_NOT_CONFIGURED = 'the node cannot be configured'


def network_findings(settings: NodeSettings) -> Iterator[Finding]:
    """Check model, device and engine; a network that needs no engine is loaded as the node loads it."""
    if isinstance(settings, MultiviewSettings):
        yield Finding('ok', 'model', 'model', 'none: plane sweep, which needs no file and no GPU')
        return
    if not settings.model:
        if isinstance(settings, MonoSettings):
            try:
                check_model(settings)
            except BadSettings as error:
                yield Finding('fault', 'model', 'model', str(error), _NOT_CONFIGURED, 'set model to an available model')
            return
        yield Finding('ok', 'model', 'model', 'none: semi-global matching, which needs no file and no GPU')
        return
    try:
        manifest, folder = find_manifest(settings.model)
    except ModelError as error:
        yield Finding('fault', 'model', settings.model, str(error), _NOT_CONFIGURED, 'depth-ros models list')
        return
    if isinstance(settings, MonoSettings):
        try:
            check_prompt_source(settings)
        except BadSettings as error:
            yield Finding('fault', 'model', settings.model, str(error), _NOT_CONFIGURED, 'set scale.source: reference')
            return
    if settings.device == 'remote':
        yield _server_finding(settings)
        return
    try:
        path = model_file(manifest, folder)
        runtime = registered_runtime(manifest.runtime.backends, manifest.id)
    except ModelError as error:
        fix = command_to_get(manifest, folder) or f'depth-ros models show {shlex.quote(settings.model)}'
        yield Finding('fault', 'model', settings.model, str(error), _NOT_CONFIGURED, fix)
        return
    try:
        missing = not RUNTIMES[runtime].has(settings.device)
    except DeviceUnavailable as error:
        yield Finding('fault', 'runtime', runtime, str(error), _NOT_CONFIGURED, install_command(runtime))
        return
    if missing:
        fix = _INSTALL[settings.device] if runtime == ONNX_RUNTIME else 'set device: auto or cpu'
        what = f'{runtime}, which runs this model, cannot use {settings.device}'
        if settings.allow_fallback:
            yield Finding(
                'warning',
                'device',
                settings.device,
                f'{what}; the CPU is used because allow_fallback is true',
                'inference is many times slower than on the device',
                fix,
            )
        else:
            yield Finding('fault', 'device', settings.device, what, _NOT_CONFIGURED, fix)
            return
    elif settings.device == 'tensorrt':
        yield _engine_finding(manifest.id, path.stem, settings.device_id)
        return
    try:
        with closing(
            mono_estimator(settings) if isinstance(settings, MonoSettings) else stereo_estimator(settings)
        ) as estimator:
            name = estimator.name
    except (ModelError, InferenceError) as error:
        yield Finding('fault', 'model', str(path), str(error), _NOT_CONFIGURED, f'depth-ros models check {path}')
        return
    yield Finding('ok', 'model', str(path), f'loaded, and matches its manifest: {name}')
    if manifest.caution:
        yield Finding(
            'warning',
            'caution',
            manifest.id,
            manifest.caution,
            'stated in the manifest of the model',
            'choose another model',
        )


def _server_finding(settings: MonoSettings | StereoSettings) -> Finding:
    """Connect to the inference server as the node does."""
    url = str(settings.server)
    try:
        with closing(
            mono_estimator(settings) if isinstance(settings, MonoSettings) else stereo_estimator(settings)
        ) as estimator:
            return Finding('ok', 'server', url, f'serves the model of the manifest: {estimator.name}')
    except DeviceUnavailable as error:
        return Finding('fault', 'server', url, str(error), _NOT_CONFIGURED, install_command('remote'))
    except InferenceError as error:
        start = 'start the server and load the model, or correct url (docs/remote.md)'
        if settings.fallback_model:
            return Finding('warning', 'server', url, str(error), f'{settings.fallback_model} is used instead', start)
        return Finding('fault', 'server', url, str(error), 'no depth until the server is available', start)
    except ModelError as error:
        fix = 'depth-ros models serve writes the model for the server (docs/remote.md)'
        return Finding('fault', 'server', url, str(error), _NOT_CONFIGURED, fix)


def needs_focal_length(settings: MonoSettings) -> bool:
    """Return whether the network needs the focal length, and therefore camera_info, for metric depth."""
    try:
        return bool({'fx', 'K'} & set(find_manifest(settings.model)[0].needs))
    except ModelError:
        return False


def _engine_finding(model: str, stem: str, device_id: int) -> Finding:
    """Check for stored engines without building one, which takes minutes."""
    build = f'depth-ros models build-engine {model}'
    if find_gpu(device_id) is None:
        return Finding(
            'warning',
            'engine',
            model,
            'the version of the GPU or of TensorRT cannot be determined',
            'engines cannot be stored, so that every start builds one, which takes minutes',
            'see docs/gpu.md',
        )
    folder = cache_folder() / 'engines'
    engines = sorted(folder.glob(f'{stem}-*/key.json'))
    if not engines:
        return Finding(
            'warning',
            'engine',
            model,
            f'no engine of {stem} in {folder}',
            'the first start builds it, which takes minutes',
            build,
        )
    return Finding('ok', 'engine', model, f'{len(engines)} engine(s) of {stem} in {folder}')
