"""Settings → network, on this machine or on an inference server (``device: remote``)."""

from collections.abc import Callable

from depth_ros.networks.input_placement import plan
from depth_ros.networks.load_network import (
    LoadedNetwork,
    allowed_manifest,
    image_size_of,
    largest_batch,
    load_network,
    reference_beside,
    used_outputs,
)
from depth_ros.networks.network_estimator import MonoNetwork, StereoNetwork
from depth_ros.networks.remote_network import RemoteMonoNetwork, RemoteStereoNetwork
from depth_ros.networks.runtimes.kserve_runtime import KserveRuntime, remote_options
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.networks.runtimes.runtime import Runtime
from depth_ros.settings.common_settings import Settings, SettingsT
from depth_ros.settings.node_settings import MonoSettings, StereoSettings


def mono_network(
    settings: MonoSettings, listener: ProgressListener, cameras: int = 1
) -> MonoNetwork | RemoteMonoNetwork:
    """Return the network that the settings name. A model on a server needs no file on this machine.

    Args:
        settings: Parameters of the node; they name model, device, server and substitute.
        listener: Receives progress and changes, and is polled for cancellation.
        cameras: As for ``load_network``.

    Raises:
        ModelError: as ``load_network``, or the server serves another model than the manifest describes.
        InferenceError: as ``load_network``, or tritonclient is not installed, or the server is unavailable and
            ``listener`` does not wait for it.
    """
    if settings.device != 'remote':
        return MonoNetwork(*load_network(settings, listener, cameras))
    connect, described = _on_server(settings, cameras)
    substitute = (
        MonoNetwork(*load_network(_of_substitute(settings), listener, cameras)) if settings.fallback_model else None
    )
    return RemoteMonoNetwork(
        str(settings.server), connect, lambda runtime: MonoNetwork(*described(runtime)), substitute, listener
    )


def stereo_network(settings: StereoSettings, listener: ProgressListener) -> StereoNetwork | RemoteStereoNetwork:
    """Return the stereo network that the settings name; as ``mono_network``."""
    if settings.device != 'remote':
        return StereoNetwork(*load_network(settings, listener))
    connect, described = _on_server(settings)
    substitute = StereoNetwork(*load_network(_of_substitute(settings), listener)) if settings.fallback_model else None
    return RemoteStereoNetwork(
        str(settings.server), connect, lambda runtime: StereoNetwork(*described(runtime)), substitute, listener
    )


def _on_server(
    settings: Settings, cameras: int = 1
) -> tuple[Callable[[], Runtime], Callable[[Runtime], LoadedNetwork]]:
    """Return a function that connects, and one that describes the network of a connection."""
    manifest, folder = allowed_manifest(settings)
    options, image_size = remote_options(settings), image_size_of(settings)
    input_size = plan(manifest.preprocess, image_size).size if image_size else None

    def described(runtime: Runtime) -> LoadedNetwork:
        name = manifest.artifact.reference
        reference = reference_beside(manifest, folder / name) if name and (folder / name).is_file() else None
        batch = largest_batch(runtime, cameras)
        return LoadedNetwork(manifest, runtime, reference, manifest.artifact.precision, input_size, batch)

    return lambda: KserveRuntime(options, used_outputs(manifest)), described


def _of_substitute(settings: SettingsT) -> SettingsT:
    return settings.changed({'model': settings.fallback_model, 'device': 'auto', 'fallback_model': ''})
