"""An exported network as an estimator: manifest + backend."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from depth_ros.errors import EstimatorError, ModelMismatch
from depth_ros.networks.decode_outputs import decode, disparity
from depth_ros.networks.input_placement import InputPlacement, Size, plan
from depth_ros.networks.manifest import Manifest
from depth_ros.networks.preprocess import prepare
from depth_ros.networks.runtimes.runtime import Precision, Runtime
from depth_ros.networks.self_check import LARGEST_DIFFERENCE, PROBE, relative_difference, stored_image
from depth_ros.networks.tensor_check import check_output_size, check_tensors, fixed_size
from depth_ros.types import AnyArray, Camera, DepthEstimate, Float32Array, Frame, RawDisparity, StereoFrame, UInt8Array

_LARGEST_INVALID_SHARE = 0.5
_OTHER_PROBE: Size = (320, 320)


def _without_infinity(values: AnyArray) -> AnyArray:
    infinite = np.isinf(values)
    return np.where(infinite, values.dtype.type(np.nan), values) if infinite.any() else values


class _Network:
    """What mono and stereo networks share: one size, one check at load, one way through the backend.

    Args:
        manifest: What the file is.
        backend: Has it loaded. It is closed with the network, and also if the network is refused.
        reference: The main output that full precision gives for the stored picture, if it is known.
        precision: Of the backend's arithmetic; None = the file's.
        input_size: Of the network's input from now on, if the graph takes any; None = as the first picture needs it.
        largest_batch: How many pictures the backend takes at once.
    """

    _task: Literal['mono', 'stereo']

    def __init__(
        self,
        manifest: Manifest,
        backend: Runtime,
        reference: AnyArray | None = None,
        precision: Precision | None = None,
        input_size: Size | None = None,
        largest_batch: int = 1,
    ) -> None:
        self._backend = backend
        self.name = f'{manifest.id} on {backend.device}'
        self.caution = manifest.caution
        self.simulator_only = manifest.simulator_only
        self.largest_batch = largest_batch
        try:
            if manifest.task != self._task:
                raise ModelMismatch(f'{manifest.id} is a {manifest.task} network; expected a {self._task} network')
            self._manifest = check_tensors(manifest, backend)
            self._input_size = fixed_size(self._manifest, backend) or input_size
            self._check_by_running(reference, precision or manifest.artifact.precision)
        except BaseException:
            backend.close()
            raise

    def cancel(self) -> None:
        """Make a running estimate raise soon."""
        self._backend.cancel()

    def close(self) -> None:
        """Release the backend and its device."""
        self._backend.close()

    def _check_by_running(self, reference: AnyArray | None, precision: Precision) -> None:
        """Run once with the stored picture, twice if the file claims to take any size; compare what comes out.

        Raises:
            ModelMismatch: the output does not follow the input's size, or is too far from full precision.
            InferenceError: it does not run at all.
        """
        main = self._manifest.main_output
        for size in (PROBE, _OTHER_PROBE) if self._input_size is None else (PROBE,):
            canvas, tensors = stored_image(self._manifest, self._input_size, size)
            outputs = self._backend.infer(tensors)
            tensor = next(iter(outputs.values())) if main.name == '*' else outputs[main.name]
            if tensor.ndim != len(main.layout):
                raise ModelMismatch(
                    f'{self._manifest.id}: output {main.name} has shape {tensor.shape}, the manifest says {main.layout}'
                )
            height_out, width_out = (tensor.shape[main.layout.index(axis)] for axis in 'HW')
            check_output_size(self._manifest, canvas, height_out, width_out)
            if reference is not None and size == PROBE:
                self._compare(reference, tensor, precision)

    def _compare(self, reference: AnyArray, found: AnyArray, precision: Precision) -> None:
        difference, limit = relative_difference(reference, found), LARGEST_DIFFERENCE[precision]
        if not difference <= limit:
            what = f'differs by {difference:.1%}' if np.isfinite(difference) else 'has NaN or another size'
            raise ModelMismatch(
                f'{self._manifest.id} on {self._backend.device} in {precision}: the output for the stored picture '
                f'{what} compared with full precision; expected at most {limit:.1%}. Use full precision, another '
                'export, or another runtime'
            )
        self.name += f', {precision} within {difference:.2%} of full precision'

    def _canvas(self, picture: UInt8Array) -> InputPlacement:
        """Place a picture on the input, whose size is that of the first one from then on (memory would grow else)."""
        size = (picture.shape[1], picture.shape[0])
        canvas = plan(self._manifest.preprocess, size, self._input_size)
        if self._input_size is None:
            self._input_size = canvas.size
        return canvas

    def _infer(
        self, canvas: InputPlacement, left: UInt8Array, right: UInt8Array | None, camera: Camera | None
    ) -> Mapping[str, AnyArray]:
        """Return the outputs; an infinite value, which is an overflow of the network's arithmetic, becomes NaN."""
        outputs = self._backend.infer(prepare(self._manifest, canvas, left, right, camera))
        return {name: _without_infinity(values) for name, values in outputs.items()}

    def _checked(self, values: Float32Array) -> Float32Array:
        """Refuse a map that is mostly NaN.

        Raises:
            EstimatorError: with the usual reason.
        """
        share = float(np.isnan(values).mean())
        if share > _LARGEST_INVALID_SHARE:
            raise EstimatorError(
                f'{self._manifest.id} gave NaN for {share:.0%} of the picture. In half precision? Use a fp32 export, '
                'or one of opset 17 or later'
            )
        return values


class MonoNetwork(_Network):
    """Depth from one picture.

    Raises:
        ModelMismatch: the file is not what the manifest says, or not a mono network.
    """

    _task = 'mono'

    def estimate(self, frame: Frame) -> DepthEstimate:
        """Estimate one picture.

        Raises:
            EstimatorError: the network needs intrinsics that are not there, failed, or gave mostly NaN.
        """
        if frame.camera is None and any(i.role == 'unit_rays' for i in self._manifest.inputs):
            raise EstimatorError(f'{self._manifest.id} takes the rays of the camera; no camera_info has come yet')
        canvas = self._canvas(frame.image)
        outputs = self._infer(canvas, frame.image, None, frame.camera)
        return self._decoded(outputs, canvas, frame.camera)

    def estimate_batch(self, frames: Sequence[Frame]) -> list[DepthEstimate]:
        """Estimate at most ``largest_batch`` pictures of one size together.

        Raises:
            EstimatorError: the network failed, or a frame lacks what it needs.
        """
        canvas = self._canvas(frames[0].image)
        inputs = [prepare(self._manifest, canvas, frame.image, None, frame.camera) for frame in frames]
        stacked = {name: np.concatenate([each[name] for each in inputs]) for name in inputs[0]}
        outputs = self._backend.infer(stacked)
        return [
            self._decoded({name: tensor[i : i + 1] for name, tensor in outputs.items()}, canvas, frame.camera)
            for i, frame in enumerate(frames)
        ]

    def _decoded(self, outputs: Mapping[str, AnyArray], canvas: InputPlacement, camera: Camera | None) -> DepthEstimate:
        estimate = decode(self._manifest, outputs, canvas, camera)
        self._checked(estimate.values)
        return estimate


class StereoNetwork(_Network):
    """Disparity from a pair; takes the place of ``SemiGlobalMatching``.

    Raises:
        ModelMismatch: the file is not what the manifest says, or not a stereo network.
    """

    _task = 'stereo'

    def estimate(self, frame: StereoFrame) -> RawDisparity:
        """Estimate one pair.

        Raises:
            EstimatorError: the network failed.
        """
        canvas = self._canvas(frame.left)
        outputs = self._infer(canvas, frame.left, frame.right, frame.rig.left)
        disparity_px, confidence = disparity(self._manifest, outputs, canvas)
        largest = self._manifest.decode.max_disparity
        high = frame.left.shape[1] - 1.0 if largest is None else largest / canvas.scale_x
        return RawDisparity(disparity_px, confidence, 0.0, high)
