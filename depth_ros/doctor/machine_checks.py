"""What a node needs of the machine to run its network: the file, the device, the engine."""

import shlex
from collections.abc import Iterator
from contextlib import closing

from depth_ros.doctor.finding import Finding
from depth_ros.errors import BadSettings, DeviceUnavailable, InferenceError, ModelError
from depth_ros.files.install_command import install_command
from depth_ros.files.model_cache import cache_folder
from depth_ros.networks.catalog import command_to_get, find_manifest, model_file
from depth_ros.networks.runtimes.gpu import find_gpu
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.pipeline import check_model, mono_estimator, stereo_estimator
from depth_ros.settings.node_settings import MonoSettings, StereoSettings

_INSTALL = {
    'tensorrt': f'{install_command("gpu")}, and TensorRT (docs/gpu.md); or device: cpu',
    'cuda': f'{install_command("gpu")} (docs/gpu.md), or device: cpu',
    'openvino': 'pip install onnxruntime-openvino, or device: cpu',
}
_CANNOT = 'the node cannot be configured'


def network_findings(settings: MonoSettings | StereoSettings) -> Iterator[Finding]:
    """Look at model, device and engine; a network that needs no engine is loaded and checked, as the node does it."""
    if not settings.model:
        if isinstance(settings, MonoSettings):
            try:
                check_model(settings)
            except BadSettings as error:
                yield Finding('fault', 'model', 'model', str(error), _CANNOT, 'set model to one of these')
            return
        yield Finding('ok', 'model', 'model', 'none: semi-global matching, which needs neither file nor GPU')
        return
    try:
        manifest, folder = find_manifest(settings.model)
    except ModelError as error:
        yield Finding('fault', 'model', settings.model, str(error), _CANNOT, 'depth-ros models list')
        return
    try:
        path = model_file(manifest, folder)
    except ModelError as error:
        fix = command_to_get(manifest, folder) or f'depth-ros models show {shlex.quote(settings.model)}'
        yield Finding('fault', 'model', settings.model, str(error), _CANNOT, fix)
        return
    try:
        missing = settings.device not in ('auto', 'cpu') and not OnnxRuntime.has(settings.device)
    except DeviceUnavailable as error:
        yield Finding('fault', 'device', settings.device, str(error), _CANNOT, install_command('cpu'))
        return
    if missing:
        what = f'this ONNX Runtime has no provider for {settings.device}'
        if settings.allow_fallback:
            yield Finding(
                'warning',
                'device',
                settings.device,
                f'{what}; allow_fallback takes the CPU',
                'it will be many times slower than on the device',
                _INSTALL[settings.device],
            )
        else:
            yield Finding('fault', 'device', settings.device, what, _CANNOT, _INSTALL[settings.device])
            return
    elif settings.device == 'tensorrt':
        yield _engine_finding(manifest.id, path.stem)
        return
    try:
        with closing(
            mono_estimator(settings) if isinstance(settings, MonoSettings) else stereo_estimator(settings)
        ) as estimator:
            name = estimator.name
    except (ModelError, InferenceError) as error:
        yield Finding('fault', 'model', str(path), str(error), _CANNOT, f'depth-ros models check {path}')
        return
    yield Finding('ok', 'model', str(path), f'loads, and is what its manifest says: {name}')
    if manifest.caution:
        yield Finding(
            'warning', 'caution', manifest.id, manifest.caution, 'its manifest says so', 'choose another model'
        )


def needs_lens(settings: MonoSettings) -> bool:
    """Tell whether the network gives no metres without the focal length, and so without camera_info."""
    try:
        return bool({'fx', 'K'} & set(find_manifest(settings.model)[0].needs))
    except ModelError:
        return False


def _engine_finding(model: str, stem: str) -> Finding:
    """Look for engines without building one, which takes minutes."""
    build = f'depth-ros models build-engine {model}'
    if find_gpu() is None:
        return Finding(
            'warning',
            'engine',
            model,
            'the GPU or TensorRT cannot be asked for its version',
            'engines cannot be kept, so that every start builds one, for minutes',
            'docs/gpu.md',
        )
    folder = cache_folder() / 'engines'
    found = sorted(folder.glob(f'{stem}-*/key.json'))
    if not found:
        return Finding(
            'warning',
            'engine',
            model,
            f'no engine of {stem} in {folder}',
            'the first start builds it, for minutes',
            build,
        )
    return Finding('ok', 'engine', model, f'{len(found)} engine(s) of {stem} in {folder}')
