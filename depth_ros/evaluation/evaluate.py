"""Evaluation: run the pipeline of a node on a dataset and compare the depth with the ground truth."""

import time
from collections.abc import Callable, Generator
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import cast

import cv2
import numpy as np

from depth_ros.camera_state import CameraState
from depth_ros.errors import BadInput, BadSettings, EstimatorError
from depth_ros.estimators.estimator import Estimator, MonoEstimator
from depth_ros.evaluation.alignment import aligned
from depth_ros.evaluation.datasets.sample import Dataset, Sample
from depth_ros.evaluation.depth_metrics import DepthAccuracy, depth_accuracy
from depth_ros.evaluation.evaluation_protocol import EvaluationProtocol, clamp_depth, mask_truth
from depth_ros.evaluation.metrics_by_distance import MetricsByDistance
from depth_ros.evaluation.stereo_metrics import DisparityAccuracy, disparity_accuracy
from depth_ros.pipeline import depth_map, mono_depth_map, mono_estimator, mono_frame, stereo_estimator, stereo_frame
from depth_ros.scale.scaler import Scaler
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.stereo.row_measurement import with_aligned_rows
from depth_ros.types import DepthMap, Float32Array, RelativeMap, StereoRig, UInt8Array


@dataclass(frozen=True)
class FrameResult:
    """Figures of one frame."""

    name: str
    depth: DepthAccuracy
    disparity: DisparityAccuracy | None
    """Disparity figures of a stereo pair; None for a single image."""
    ms: float
    """Time from the decoded image to the depth map, milliseconds."""
    truth_pixels: int
    """Number of pixels with truth."""

    def figures(self) -> dict[str, float]:
        """Return all figures by name."""
        disparity = asdict(self.disparity) if self.disparity else {}
        return {**asdict(self.depth), **disparity, 'ms': self.ms, 'truth_pixels': self.truth_pixels}


@dataclass(frozen=True)
class EvaluatedFrame:
    """One frame with its figures and images, for the report."""

    result: FrameResult
    image: UInt8Array
    """(H, W) grey or (H, W, 3) RGB."""
    depth_m: Float32Array
    """(H, W) aligned estimate, metres; NaN = unknown."""
    truth_m: Float32Array
    """(H, W) metres; NaN = unknown or not evaluated."""


@dataclass
class Evaluation:
    """Results of a dataset."""

    frames: list[FrameResult] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Reason of the failure, by frame name."""
    by_distance: MetricsByDistance = field(default_factory=MetricsByDistance)
    estimator: str = ''
    """Name of the estimator."""


FrameListener = Callable[[EvaluatedFrame], None]


def evaluate(
    dataset: Dataset,
    settings: MonoSettings | StereoSettings,
    protocol: EvaluationProtocol,
    on_frame: FrameListener = lambda frame: None,
    estimator: Estimator | MonoEstimator | None = None,
) -> Generator[Evaluation, None, None]:
    """Yield the results after every frame; the same object is updated and yielded each time.

    A frame that cannot be loaded or estimated is recorded as failed, and the evaluation continues. Close the generator
    if not all frames are read: it owns the estimator, unless it was given one.

    Args:
        dataset: The images with their truth.
        settings: Settings of the node.
        protocol: Alignment, crop and depth cap.
        on_frame: Called with every frame.
        estimator: Estimator that several datasets share (``evaluation_estimator``); None = loaded for this dataset.

    Raises:
        BadSettings: the output of the model is not in metres and is not aligned.
        ModelError, InferenceError: the network is unusable.
    """
    with closing(evaluation_estimator(settings)) if estimator is None else nullcontext(estimator) as used:
        evaluation, estimate = Evaluation(estimator=used.name), _estimation(settings, used)
        for name, load in dataset.entries:
            try:
                frame = _evaluate_sample(load(), estimate, protocol)
            except (BadInput, EstimatorError) as error:
                evaluation.failed[name] = str(error)
            else:
                evaluation.frames.append(frame.result)
                evaluation.by_distance.add(frame.depth_m, frame.truth_m)
                on_frame(frame)
            yield evaluation


_Estimate = Callable[[Sample], tuple[DepthMap | RelativeMap, StereoRig | None]]
"""Estimates the map of a sample; returns it with the stereo geometry at full resolution, None for a single image."""


def evaluation_estimator(settings: MonoSettings | StereoSettings) -> Estimator | MonoEstimator:
    """Return the estimator of the node; networks for the simulator are allowed, as an evaluation publishes nothing.

    Raises:
        ModelError, InferenceError: the network is unusable.
    """
    settings = replace(settings, allow_simulator_model=True)
    return mono_estimator(settings) if isinstance(settings, MonoSettings) else stereo_estimator(settings)


def _estimation(settings: MonoSettings | StereoSettings, estimator: Estimator | MonoEstimator) -> _Estimate:
    """Return the function that applies the pipeline of the node to a sample."""
    state = CameraState()
    if isinstance(settings, MonoSettings):
        mono = cast(MonoEstimator, estimator)
        scaler = Scaler() if settings.scale_source != 'none' else None

        def estimate_image(sample: Sample) -> tuple[DepthMap | RelativeMap, None]:
            frame = mono_frame(sample.image, sample.calibration, settings, rectifier=state.rectifier)
            return mono_depth_map(frame, mono, settings, scaler, state.mask.current(settings.filter_mask_file)), None

        return estimate_image
    stereo = cast(Estimator, estimator)

    def estimate_pair(sample: Sample) -> tuple[DepthMap, StereoRig]:
        if sample.right is None or sample.calibration is None or sample.right_calibration is None:
            raise BadInput('not a calibrated stereo pair, which stereo_depth requires. Use --node mono_depth')
        infos = (sample.calibration, sample.right_calibration)
        pair = stereo_frame(sample.image, sample.right, *infos, settings, rectifier=state.rectifier)
        if settings.align_rows:
            pair, _ = with_aligned_rows(pair)
        height, width = sample.image.shape[:2]
        mask = state.mask.current(settings.filter_mask_file)
        return depth_map(pair, stereo, settings, mask), pair.rig.resized(width, height)

    return estimate_pair


def _evaluate_sample(sample: Sample, estimate: _Estimate, protocol: EvaluationProtocol) -> EvaluatedFrame:
    """Estimate the depth of a sample and compare it with its truth."""
    truth_m = mask_truth(sample.depth_m(), protocol.crop, protocol.cap_m)
    started_s = time.perf_counter()
    result, rig = estimate(sample)
    ms = (time.perf_counter() - started_s) * 1e3
    if isinstance(result, RelativeMap):
        if protocol.align == 'none':
            raise BadSettings(f'{result.missing_for_metres}; or compare with --align median or affine')
        values, space = result.values, result.space
    else:
        values, space = result.depth_m, 'metric_depth'
    height, width = truth_m.shape
    if values.shape != truth_m.shape:
        values = np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST))
    depth_m = clamp_depth(aligned(values, space, truth_m, protocol.align), protocol.cap_m)
    disparity = disparity_accuracy(_disparity(depth_m, rig), _disparity(truth_m, rig)) if rig is not None else None
    truth_pixels = int(np.count_nonzero(np.isfinite(truth_m) & (truth_m > 0)))
    figures = FrameResult(sample.name, depth_accuracy(depth_m, truth_m), disparity, ms, truth_pixels)
    return EvaluatedFrame(figures, sample.image, depth_m, truth_m)


def _disparity(depth_m: Float32Array, rig: StereoRig) -> Float32Array:
    """Return the disparity for a depth, without the offset of the principal points; NaN = unknown."""
    disparity_px = np.full_like(depth_m, np.nan)
    np.divide(rig.left.fx * rig.baseline_m, depth_m, out=disparity_px, where=np.isfinite(depth_m) & (depth_m > 0))
    return disparity_px
