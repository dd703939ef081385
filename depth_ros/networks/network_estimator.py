"""Exported networks as estimators: a manifest and a runtime."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from depth_ros.errors import EstimatorError, MissingPrompt, ModelMismatch
from depth_ros.networks.decode_outputs import decode, disparity
from depth_ros.networks.input_placement import InputPlacement, Size, plan
from depth_ros.networks.manifest import Manifest
from depth_ros.networks.preprocess import prepare
from depth_ros.networks.runtimes.runtime import Precision, Runtime
from depth_ros.networks.self_check import MAX_DIFFERENCE, SELF_CHECK_SIZE, relative_difference, self_check_input
from depth_ros.networks.tensor_check import check_output_size, check_tensors, fixed_size
from depth_ros.types import AnyArray, Camera, DepthEstimate, Float32Array, Frame, RawDisparity, StereoFrame, UInt8Array

_MAX_NAN_SHARE = 0.5
_SECOND_SIZE: Size = (320, 320)


def _without_infinity(values: AnyArray) -> AnyArray:
    infinite = np.isinf(values)
    return np.where(infinite, values.dtype.type(np.nan), values) if infinite.any() else values


class _Network:
    """The common part of mono and stereo networks: the check at load, the input size, and inference.

    Args:
        manifest: Description of the file.
        runtime: Runtime that has loaded the file. It is closed with the network, and also if the network is refused.
        reference: Main output for the self-check image in full precision; None = unknown.
        precision: Precision of the runtime's arithmetic; None = that of the file.
        input_size: Input size of the network, if the graph accepts any size; None = chosen by the first image.
        largest_batch: Largest number of images per run.
    """

    _task: Literal['mono', 'stereo']

    def __init__(
        self,
        manifest: Manifest,
        runtime: Runtime,
        reference: AnyArray | None = None,
        precision: Precision | None = None,
        input_size: Size | None = None,
        largest_batch: int = 1,
    ) -> None:
        self._runtime = runtime
        self.name = f'{manifest.id} on {runtime.device}'
        self.caution = manifest.caution
        self.simulator_only = manifest.simulator_only
        self.largest_batch = largest_batch
        self.prompt_size = manifest.prompt_size
        """Width and height of the prompt depth that a frame must have; None if it needs none."""
        try:
            if manifest.task != self._task:
                raise ModelMismatch(f'{manifest.id} is a {manifest.task} network; expected a {self._task} network')
            self._manifest = check_tensors(manifest, runtime)
            self._input_size = fixed_size(self._manifest, runtime) or input_size
            self._check_by_running(reference, precision or manifest.artifact.precision)
        except BaseException:
            runtime.close()
            raise

    def cancel(self) -> None:
        """Make a running estimate raise soon."""
        self._runtime.cancel()

    def close(self) -> None:
        """Release the runtime and its device."""
        self._runtime.close()

    def _check_by_running(self, reference: AnyArray | None, precision: Precision) -> None:
        """Run the self-check image, at two sizes if the graph accepts any size, and compare the outputs.

        Raises:
            ModelMismatch: the size of the output does not follow the input's, or the output differs too much from
                full precision.
            InferenceError: the run failed.
        """
        main = self._manifest.main_output
        for size in (SELF_CHECK_SIZE, _SECOND_SIZE) if self._input_size is None else (SELF_CHECK_SIZE,):
            placement, tensors = self_check_input(self._manifest, self._input_size, size)
            outputs = self._runtime.infer(tensors)
            tensor = next(iter(outputs.values())) if main.name == '*' else outputs[main.name]
            if tensor.ndim != len(main.layout):
                raise ModelMismatch(
                    f'{self._manifest.id}: output {main.name} has shape {tensor.shape}; expected the layout '
                    f'{main.layout} of the manifest. Correct the manifest, or export the file again'
                )
            height_out, width_out = (tensor.shape[main.layout.index(axis)] for axis in 'HW')
            check_output_size(self._manifest, placement, height_out, width_out)
            if reference is not None and size == SELF_CHECK_SIZE:
                self._compare(reference, tensor, precision)

    def _compare(self, reference: AnyArray, actual: AnyArray, precision: Precision) -> None:
        difference, limit = relative_difference(reference, actual), MAX_DIFFERENCE[precision]
        if not difference <= limit:
            deviation = f'differs by {difference:.1%}' if np.isfinite(difference) else 'has NaN or another size'
            raise ModelMismatch(
                f'{self._manifest.id} on {self._runtime.device} in {precision}: the output for the self-check image '
                f'{deviation} compared with full precision; expected at most {limit:.1%}. Use full precision, another '
                'export, or another device'
            )
        self.name += f', {precision} within {difference:.2%} of full precision'

    def _placement(self, image: UInt8Array) -> InputPlacement:
        """Place an image on the input. The first image fixes the input size; otherwise memory use would grow."""
        size = (image.shape[1], image.shape[0])
        placement = plan(self._manifest.preprocess, size, self._input_size)
        if self._input_size is None:
            self._input_size = placement.size
        return placement

    def _infer(
        self,
        placement: InputPlacement,
        left: UInt8Array,
        right: UInt8Array | None,
        camera: Camera | None,
        prompt_m: Float32Array | None = None,
    ) -> Mapping[str, AnyArray]:
        """Return the outputs; infinite values, which are overflows of the network's arithmetic, become NaN."""
        outputs = self._runtime.infer(prepare(self._manifest, placement, left, right, camera, prompt_m))
        return {name: _without_infinity(values) for name, values in outputs.items()}

    def _checked(self, values: Float32Array) -> Float32Array:
        """Return the values, unless they are mostly NaN.

        Raises:
            EstimatorError: more than half of the values are NaN.
        """
        share = float(np.isnan(values).mean())
        if share > _MAX_NAN_SHARE:
            raise EstimatorError(
                f'{self._manifest.id} returned NaN for {share:.0%} of the image; expected at most '
                f'{_MAX_NAN_SHARE:.0%}. This happens in half precision: use a fp32 export, or one of opset 17 or later'
            )
        return values


class MonoNetwork(_Network):
    """Depth from one image.

    Raises:
        ModelMismatch: the file does not match its manifest, or is not a mono network.
    """

    _task = 'mono'

    def estimate(self, frame: Frame) -> DepthEstimate:
        """Estimate the depth of one image.

        Raises:
            MissingPrompt: the network needs a prompt depth, and the frame has none or one without any depth.
            EstimatorError: the network failed, needs missing intrinsics, or returned mostly NaN.
        """
        self._check_prompt(frame)
        if frame.camera is None and any(i.role == 'unit_rays' for i in self._manifest.inputs):
            raise EstimatorError(
                f'{self._manifest.id} needs the rays of the camera; no camera_info received. Publish camera_info'
            )
        placement = self._placement(frame.image)
        outputs = self._infer(placement, frame.image, None, frame.camera, frame.prompt_m)
        return self._decoded(outputs, placement, frame.camera)

    def estimate_batch(self, frames: Sequence[Frame]) -> list[DepthEstimate]:
        """Estimate at most ``largest_batch`` images of one size together.

        Raises:
            MissingPrompt: as ``estimate``.
            EstimatorError: the network failed, or returned mostly NaN for one of the frames.
        """
        for frame in frames:
            self._check_prompt(frame)
        placement = self._placement(frames[0].image)
        inputs = [
            prepare(self._manifest, placement, frame.image, None, frame.camera, frame.prompt_m) for frame in frames
        ]
        stacked = {name: np.concatenate([each[name] for each in inputs]) for name in inputs[0]}
        outputs = self._runtime.infer(stacked)
        return [
            self._decoded({name: tensor[i : i + 1] for name, tensor in outputs.items()}, placement, frame.camera)
            for i, frame in enumerate(frames)
        ]

    def _check_prompt(self, frame: Frame) -> None:
        if self.prompt_size is not None and frame.prompt_m is None:
            raise MissingPrompt(
                f'{self._manifest.id} needs a prompt depth and the frame has none; expected metres measured by another '
                'sensor. Pass prompt_m to MonoDepth or --prompt to depth-ros infer, or set scale.source: reference'
            )

    def _decoded(
        self, outputs: Mapping[str, AnyArray], placement: InputPlacement, camera: Camera | None
    ) -> DepthEstimate:
        estimate = decode(self._manifest, outputs, placement, camera)
        self._checked(estimate.values)
        return estimate


class StereoNetwork(_Network):
    """Disparity from a stereo pair, with the interface of ``SemiGlobalMatching``.

    Raises:
        ModelMismatch: the file does not match its manifest, or is not a stereo network.
    """

    _task = 'stereo'

    def estimate(self, frame: StereoFrame) -> RawDisparity:
        """Estimate the disparity of one pair.

        Raises:
            EstimatorError: the network failed.
        """
        placement = self._placement(frame.left)
        outputs = self._infer(placement, frame.left, frame.right, frame.rig.left)
        disparity_px, confidence = disparity(self._manifest, outputs, placement)
        max_disparity = self._manifest.decode.max_disparity
        search_end_px = frame.left.shape[1] - 1.0 if max_disparity is None else max_disparity / placement.scale_x
        return RawDisparity(disparity_px, confidence, 0.0, search_end_px)
