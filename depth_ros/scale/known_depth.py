"""The scale of one prediction from a few points whose depth is known: a distance measured by hand, a marker."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from depth_ros.errors import BadInput
from depth_ros.scale.scale_fit import Law, Scale, fit, law_of
from depth_ros.scale.scale_tracker import ScaleStatus
from depth_ros.settings.node_settings import MonoSettings
from depth_ros.types import DepthEstimate, Float32Array, Frame


class KnownDepth(NamedTuple):
    """A pixel of known depth."""

    u: int
    """Column, pixels."""
    v: int
    """Row, pixels."""
    depth_m: float
    """Depth along the optical axis, metres."""


class KnownDepthScale:
    """Gives every prediction the scale that follows from the same pixels of known depth.

    Args:
        known: One pixel gives the scale and assumes a shift of 0; two pixels at different depths give scale and shift;
            three or more are fitted robustly.

    Raises:
        BadInput: no pixel was given, or a depth is not positive.
    """

    def __init__(self, known: Sequence[KnownDepth]) -> None:
        if not known or any(not (np.isfinite(each.depth_m) and each.depth_m > 0) for each in known):
            raise BadInput(
                f'known depths are {list(known)}; expected at least one pixel with a positive depth in metres'
            )
        self._known = known

    def update(self, estimate: DepthEstimate, frame: Frame, settings: MonoSettings) -> ScaleStatus:
        """Return the scale of a prediction.

        Raises:
            BadInput: a pixel is outside the image or its prediction is unknown, or the depths do not give a scale.
        """
        law = law_of(estimate.space, estimate.lacks)
        scale = _scale(law, _predictions(estimate.values, self._known), [each.depth_m for each in self._known])
        return ScaleStatus('tracking', scale, age_s=0.0)


def _predictions(values: Float32Array, known: Sequence[KnownDepth]) -> list[float]:
    height, width = values.shape
    predictions = []
    for u, v, _ in known:
        if not (0 <= u < width and 0 <= v < height):
            raise BadInput(f'the pixel of known depth ({u}, {v}) is outside the image of {width}x{height}')
        if not np.isfinite(values[v, u]):
            raise BadInput(f'the prediction at the pixel of known depth ({u}, {v}) is unknown; choose another pixel')
        predictions.append(float(values[v, u]))
    return predictions


def _scale(law: Law, predictions: list[float], depths_m: list[float]) -> Scale:
    targets = [1 / depth if law == 'inverse_affine' else depth for depth in depths_m]
    if len(predictions) == 1 or (law == 'factor' and len(predictions) == 2):
        scale, shift = sum(targets) / sum(predictions) if sum(predictions) else 0.0, 0.0
    elif len(predictions) == 2:
        span = predictions[1] - predictions[0]
        scale = (targets[1] - targets[0]) / span if span else 0.0
        shift = targets[0] - scale * predictions[0]
    else:
        fitted = fit(law, np.array(predictions, np.float32), np.array(depths_m, np.float32))
        scale, shift = (fitted.scale.scale, fitted.scale.shift) if fitted is not None else (0.0, 0.0)
    if not scale > 0:
        raise BadInput(
            f'predictions {np.round(predictions, 4).tolist()} and depths {depths_m} m give no positive scale; expected '
            'pixels at different depths, in the order of the predictions. Check the pixels'
        )
    return Scale(law, scale, shift)
