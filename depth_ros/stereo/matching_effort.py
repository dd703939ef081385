"""What each value of the parameter ``quality`` means for the matcher."""

from dataclasses import dataclass

from depth_ros.settings.node_settings import Quality


@dataclass(frozen=True)
class EvidenceWeights:
    """Weights of a logistic model: how evidence changes the logarithm of the odds that a match is correct.

    Fitted to public pairs with ground truth (docs/stereo.md); a match is correct within 2 px.
    """

    constant: float
    agrees: float
    """The right image's own match leads back to the pixel."""
    agreement: float
    """A power of the share of pixels that agree, in the window around the pixel."""
    agreement_power: int
    step: float
    """Range of the disparities in a small window around the pixel, in pixels of the matched size, up to 8."""


@dataclass(frozen=True)
class MatchingEffort:
    """Work and strictness of the matcher."""

    left_scale: float
    """Size at which the left image is matched against the right one, as a fraction of the size of the images."""
    right_scale: float
    """The same for the right image, whose matches confirm those of the left one."""
    tolerance: int
    """Largest difference of both matches, in 1/16 px of the left image as it is matched."""
    lowest_confidence: float
    """Matches for which the evidence gives a lower probability are removed."""
    filled_confidence: float
    """Share of correct pixels among filled ones; 0: occluded pixels are not filled."""
    weights: EvidenceWeights
    window_px: int
    """Side of the window in which agreement is counted."""
    step_window_px: int
    """Side of the window for steps."""
    calibration: tuple[tuple[float, float], ...] = ((0, 0), (1, 1))
    """Pairs of the probability that the evidence gives and the share of correct pixels among those that are left after
    the removal of speckles and borders, which makes weak matches more reliable; interpolated linearly."""


EFFORTS: dict[Quality, MatchingEffort] = {
    'fast': MatchingEffort(
        left_scale=0.5, right_scale=0.5, tolerance=16, lowest_confidence=0.3, filled_confidence=0.63,
        weights=EvidenceWeights(-0.61, 0.784, 3.067, 4, -0.14), window_px=9, step_window_px=3,
        calibration=((0.3, 0.43), (0.37, 0.57), (0.55, 0.58), (0.75, 0.765), (0.93, 0.89), (0.96, 0.98), (1, 1)),
    ),
    'balanced': MatchingEffort(
        left_scale=1.0, right_scale=0.6, tolerance=24, lowest_confidence=0.45, filled_confidence=0.78,
        weights=EvidenceWeights(0.181, 1.084, 3.256, 5, -0.159), window_px=15, step_window_px=5,
        calibration=((0.45, 0.53), (0.525, 0.61), (0.575, 0.73), (0.75, 0.78), (1, 1)),
    ),
    'strict': MatchingEffort(
        left_scale=1.0, right_scale=0.7, tolerance=14, lowest_confidence=0.82, filled_confidence=0,
        weights=EvidenceWeights(0.45, 1.026, 3.606, 5, -0.178), window_px=15, step_window_px=5,
    ),
}  # fmt: skip
