"""A dataset through the pipeline of a node, compared with its truth."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace

import cv2
import numpy as np

from depth_ros.camera_state import CameraState
from depth_ros.errors import BadInput, BadSettings, EstimatorError
from depth_ros.estimators.estimator import Estimator, MonoEstimator
from depth_ros.evaluation.alignment import Alignment, aligned
from depth_ros.evaluation.datasets.sample import Dataset, Sample
from depth_ros.evaluation.depth_metrics import DepthAccuracy, depth_accuracy
from depth_ros.evaluation.evaluation_protocol import capped, counted
from depth_ros.evaluation.metrics_by_distance import Distances
from depth_ros.evaluation.stereo_metrics import DisparityAccuracy, disparity_accuracy
from depth_ros.pipeline import depth_map, mono_depth_map, mono_estimator, mono_frame, stereo_estimator, stereo_frame
from depth_ros.scale.scaler import Scaler
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.types import DepthMap, Float32Array, RelativeMap, StereoRig, UInt8Array


@dataclass(frozen=True)
class Protocol:
    """How estimate and truth are compared."""

    align: Alignment = 'none'
    crop: str = ''
    cap_m: float = 0.0
    """0 = none."""


@dataclass(frozen=True)
class FrameResult:
    """One picture."""

    name: str
    depth: DepthAccuracy
    disparity: DisparityAccuracy | None
    """Of pairs."""
    ms: float
    """From the decoded picture to the depth map."""

    def figures(self) -> dict[str, float]:
        """Return all figures by name."""
        return {**asdict(self.depth), **(asdict(self.disparity) if self.disparity else {}), 'ms': self.ms}


@dataclass(frozen=True)
class Shown:
    """What pictures of one frame are made of."""

    result: FrameResult
    image: UInt8Array
    depth_m: Float32Array
    truth_m: Float32Array


@dataclass
class Evaluation:
    """What became of a dataset."""

    frames: list[FrameResult] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Reason by frame."""
    distances: Distances = field(default_factory=Distances)
    estimator: str = ''


ProgressListener = Callable[[Shown], None]


def evaluate(
    dataset: Dataset,
    settings: MonoSettings | StereoSettings,
    protocol: Protocol,
    watch: ProgressListener = lambda shown: None,
) -> Generator[Evaluation, None, None]:
    """Yield what is known after every frame; the object is the same one.

    A frame that cannot be loaded or estimated is noted, and the next one follows. Close the generator if you do not
    take all frames: it owns the estimator.

    Raises:
        BadSettings: the model gives no metres and nothing aligns its output.
        ModelError, InferenceError: the network cannot be used.
    """
    estimator, see = _seer(settings)
    found = Evaluation(estimator=estimator.name)
    with closing(estimator):
        for name, load in dataset.entries:
            try:
                shown = _compared(load(), see, protocol)
            except (BadInput, EstimatorError) as error:
                found.failed[name] = str(error)
            else:
                found.frames.append(shown.result)
                found.distances.add(shown.depth_m, shown.truth_m)
                watch(shown)
            yield found


See = Callable[[Sample], tuple[DepthMap | RelativeMap, StereoRig | None]]


def _seer(settings: MonoSettings | StereoSettings) -> tuple[Estimator | MonoEstimator, See]:
    """Return the estimator, and what makes a map of a sample; for pairs with their geometry at full size."""
    state = CameraState()
    settings = replace(settings, allow_simulator_model=True)  # measured here, not published
    if isinstance(settings, MonoSettings):
        mono = mono_estimator(settings)
        scaler = Scaler() if settings.scale_source != 'none' else None

        def see_image(sample: Sample) -> tuple[DepthMap | RelativeMap, None]:
            frame = mono_frame(sample.image, sample.calibration, settings, rectifier=state.rectifier)
            return mono_depth_map(frame, mono, settings, scaler, state.mask.current(settings.filter_mask_file)), None

        return mono, see_image
    stereo = stereo_estimator(settings)

    def see_pair(sample: Sample) -> tuple[DepthMap, StereoRig]:
        if sample.right is None or sample.calibration is None or sample.right_calibration is None:
            raise BadInput('this is no calibrated pair, which stereo_depth needs. Use --node mono_depth')
        infos = (sample.calibration, sample.right_calibration)
        pair = stereo_frame(sample.image, sample.right, *infos, settings, rectifier=state.rectifier)
        height, width = sample.image.shape[:2]
        mask = state.mask.current(settings.filter_mask_file)
        return depth_map(pair, stereo, settings, mask), pair.rig.resized(width, height)

    return stereo, see_pair


def _compared(sample: Sample, see: See, protocol: Protocol) -> Shown:
    truth_m = counted(sample.depth_m(), protocol.crop, protocol.cap_m)
    started_s = time.perf_counter()
    seen, rig = see(sample)
    ms = (time.perf_counter() - started_s) * 1e3
    if isinstance(seen, RelativeMap):
        if protocol.align == 'none':
            raise BadSettings(f'{seen.missing_for_metres}; or compare with --align median or affine')
        values, space = seen.values, seen.space
    else:
        values, space = seen.depth_m, 'metric_depth'
    height, width = truth_m.shape
    if values.shape != truth_m.shape:
        values = np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST))
    depth_m = capped(aligned(values, space, truth_m, protocol.align), protocol.cap_m)
    disparity = disparity_accuracy(_disparity(depth_m, rig), _disparity(truth_m, rig)) if rig is not None else None
    result = FrameResult(sample.name, depth_accuracy(depth_m, truth_m), disparity, ms)
    return Shown(result, sample.image, depth_m, truth_m)


def _disparity(depth_m: Float32Array, rig: StereoRig) -> Float32Array:
    """Return the disparity of a depth, without the difference of the principal points; unknown = NaN."""
    found = np.full_like(depth_m, np.nan)
    np.divide(rig.left.fx * rig.baseline_m, depth_m, out=found, where=np.isfinite(depth_m) & (depth_m > 0))
    return found
