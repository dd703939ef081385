"""Images to depth in Python, without ROS: the classes of ``import depth_ros`` that a notebook or a test needs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from depth_ros.camera_state import CameraState
from depth_ros.errors import BadSettings
from depth_ros.estimators.estimator import Estimator, MonoEstimator
from depth_ros.pipeline import depth_map, mono_depth_map, mono_estimator, mono_frame, stereo_estimator, stereo_frame
from depth_ros.scale.known_depth import KnownDepth, KnownDepthScale
from depth_ros.settings.common_settings import SettingsT
from depth_ros.settings.node_settings import MonoSettings, NodeSettings, StereoSettings
from depth_ros.settings.parameter_table import rules, unknown_parameter
from depth_ros.stereo.row_measurement import with_aligned_rows
from depth_ros.types import Calibration, DepthMap, Float32Array, RelativeMap, UInt8Array

if TYPE_CHECKING:
    from depth_ros.bags.bag_processing import ProcessingReport


class _OwnsEstimator:
    """Releases its estimator when it is closed or a ``with`` block ends."""

    _estimator: Estimator | MonoEstimator

    def close(self) -> None:
        """Release the estimator; the object is not used afterwards."""
        self._estimator.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class StereoDepth(_OwnsEstimator):
    """Depth of image pairs, by semi-global matching or, with ``model``, by a stereo network.

    Example::

        with depth_ros.StereoDepth(quality='strict') as stereo:
            depth = stereo(left, right, left_calibration, right_calibration)
        depth.depth_m  # (H, W) metres

    Args:
        parameters: Parameters of the node ``stereo_depth`` (docs/parameters.md), with ``_`` instead of ``.``:
            ``filter_edges=True``.

    Raises:
        BadSettings: a parameter is unknown, out of range, or contradicts another.
        ModelError, InferenceError: the network is unusable.
    """

    def __init__(self, **parameters: Any) -> None:
        self.settings = _settings(StereoSettings, parameters)
        self._state = CameraState()
        self._estimator: Estimator = stereo_estimator(self.settings)

    def __enter__(self) -> 'StereoDepth':
        return self

    def __call__(
        self, left: UInt8Array, right: UInt8Array, left_calibration: Calibration, right_calibration: Calibration
    ) -> DepthMap:
        """Return the depth of the left image.

        Args:
            left: (H, W) grey or (H, W, 3) RGB, rectified; raw with ``rectify=True``.
            right: Right image, of the same size.
            left_calibration: Calibration of the left image.
            right_calibration: Calibration of the right image; its P holds the baseline.

        Raises:
            BadInput: the images or calibrations are unusable.
            EstimatorError: the network failed on this pair.
        """
        frame = stereo_frame(
            left, right, left_calibration, right_calibration, self.settings, rectifier=self._state.rectifier
        )
        if self.settings.align_rows:
            frame, _ = with_aligned_rows(frame)
        mask = self._state.mask.current(self.settings.filter_mask_file)
        return depth_map(frame, self._estimator, self.settings, mask)


class MonoDepth(_OwnsEstimator):
    """Depth of single images, by a network.

    Example::

        with depth_ros.MonoDepth('depth-anything-v2-metric-indoor-small') as mono:
            depth = mono(image)

    Args:
        model: The id of a manifest (``depth-ros models list``), or the path of a manifest or model file.
        parameters: Parameters of the node ``mono_depth`` (docs/parameters.md), with ``_`` instead of ``.``.

    Raises:
        BadSettings: a parameter is unknown, out of range, or contradicts another.
        ModelError, InferenceError: the network is unusable.
    """

    def __init__(self, model: str, **parameters: Any) -> None:
        self.settings = _settings(MonoSettings, {'model': model, **parameters})
        self._state = CameraState()
        self._estimator: MonoEstimator = mono_estimator(self.settings)

    def __enter__(self) -> 'MonoDepth':
        return self

    def __call__(
        self,
        image: UInt8Array,
        calibration: Calibration | None = None,
        known_depths: Sequence[KnownDepth] = (),
        prompt_m: Float32Array | None = None,
    ) -> DepthMap | RelativeMap:
        """Return the depth of an image.

        Args:
            image: (H, W) grey or (H, W, 3) RGB.
            calibration: Calibration of the image; required for points, and by networks that need the focal length.
            known_depths: Pixels of known depth, which determine the scale of a relative prediction.
            prompt_m: (h, w) depth along the optical axis, metres, of the whole image at any size, measured by another
                sensor at the same time and place; NaN and 0 = unknown. Required by networks that take a prompt depth,
                and not used by others. With ``rectify``, it belongs to the rectified image.

        Returns:
            Depth in metres, or a ``RelativeMap`` that states what is missing for metres.

        Raises:
            BadInput: the image, the calibration, the known depths or the prompt depth are unusable, or the network
                needs a prompt depth and there is none.
            EstimatorError: the network failed on this image.
        """
        frame = mono_frame(image, calibration, self.settings, rectifier=self._state.rectifier)
        frame = replace(frame, prompt_m=prompt_m)
        scale = KnownDepthScale(known_depths) if known_depths else None
        mask = self._state.mask.current(self.settings.filter_mask_file)
        return mono_depth_map(frame, self._estimator, self.settings, scale, mask)


def process_recording(
    source: Path | str, target: Path | str, settings: NodeSettings, namespaces: Sequence[str] = ('',)
) -> 'ProcessingReport':
    """Write a recording with the depth of another recording, as the node with these settings would publish it.

    Args:
        source: The recording, a rosbag2 folder.
        target: The new recording; must not exist.
        settings: Settings of ``stereo_depth``, ``mono_depth`` or ``multiview_depth``.
        namespaces: One namespace per camera, for example ``/front`` for ``/front/left/image_rect``.

    Returns:
        The number of frames and of written frames, and why the others were dropped.

    Raises:
        BadFile: a recording is unusable, a topic is missing, or the extra ``bags`` is not installed.
        ModelError, InferenceError: the network is unusable.
    """
    from depth_ros.bags import bag_processing  # needs the extra bags

    return bag_processing.process_recording(Path(source), Path(target), settings, namespaces)


def _settings(kind: type[SettingsT], parameters: Mapping[str, Any]) -> SettingsT:
    """Return settings from parameters whose names have ``_`` instead of ``.``.

    Raises:
        BadSettings: a parameter is unknown, or a value is invalid.
    """
    names = {name.replace('.', '_'): name for name in rules(kind)}
    for parameter in parameters:
        if parameter not in names:
            raise BadSettings(unknown_parameter(kind, parameter))
    return kind().changed({names[parameter]: value for parameter, value in parameters.items()})
