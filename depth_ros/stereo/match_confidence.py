"""Probability that a match is correct, from the evidence around it."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from depth_ros.stereo.matching_effort import MatchingEffort
from depth_ros.stereo.opencv_matcher import UNKNOWN, Sixteenths
from depth_ros.types import Float32Array, UInt8Array

_LOWEST = -3.0
_STEP = 0.03
"""A score s is the logarithm of the odds _LOWEST + _STEP * s; 8 bits cover -3 to 4.65."""
_LARGEST_STEP_PX = 8
_TEXTURE_WINDOW, _SAME_GREY = 7, 2


class MatchConfidence:
    """Scores the matches of a pair with one number from 0 to 255 for each pixel, and turns scores into confidence."""

    def __init__(self, effort: MatchingEffort) -> None:
        self._window_px, self._step_window_px = effort.window_px, effort.step_window_px
        weights, value = effort.weights, np.arange(256)
        roughest = weights.step * _LARGEST_STEP_PX
        self._of_agreeing = _score(np.where(value > 0, weights.agrees, 0) + weights.constant + roughest - _LOWEST)
        self._of_agreement = _score(weights.agreement * (value / 255) ** weights.agreement_power)
        self._of_step = _score(weights.step * np.minimum(value / 16, _LARGEST_STEP_PX) - roughest)
        probability = 1 / (1 + np.exp(-(_LOWEST + _STEP * value)))
        calibration = np.array(effort.calibration)
        self._confidence = np.interp(probability, calibration[:, 0], calibration[:, 1]).astype(np.float32)
        odds = effort.lowest_confidence / (1 - effort.lowest_confidence)
        self.lowest_score = max(1, round((math.log(odds) - _LOWEST) / _STEP))

    def scores(self, left: UInt8Array, disparity: Sixteenths, agrees: UInt8Array) -> UInt8Array:
        """Return (H, W) scores; 0 where the disparity is unknown, and in areas without any texture.

        Args:
            left: (H, W) grey values.
            disparity: (H, W) disparity of the left image.
            agrees: (H, W) 255 where the right image agrees, 0 elsewhere.
        """
        kernel = np.ones((self._step_window_px, self._step_window_px), np.uint8)
        step = cv2.convertScaleAbs(cv2.subtract(cv2.dilate(disparity, kernel), cv2.erode(disparity, kernel)))
        agreement = cv2.blur(agrees, (self._window_px, self._window_px))
        total = cv2.add(cv2.LUT(agrees, self._of_agreeing), cv2.LUT(agreement, self._of_agreement))
        total = cv2.add(total, cv2.LUT(step, self._of_step))
        known = cv2.compare(disparity, UNKNOWN, cv2.CMP_GT)
        return np.asarray(cv2.bitwise_and(total, cv2.bitwise_and(known, _textured(left))), np.uint8)

    def of(self, scores: UInt8Array) -> Float32Array:
        """Return the (H, W) confidence, 0 to 1, of scores."""
        return np.asarray(cv2.LUT(scores, self._confidence), np.float32)


def _textured(grey: UInt8Array) -> UInt8Array:
    """Return 255 where grey values differ in the window around the pixel; 0 in saturated, black and blank areas.

    Every fourth pixel of every fourth row is looked at.
    """
    sampled = np.ascontiguousarray(grey[::4, ::4])
    kernel = np.ones((_TEXTURE_WINDOW, _TEXTURE_WINDOW), np.uint8)
    spread = cv2.subtract(cv2.dilate(sampled, kernel), cv2.erode(sampled, kernel))
    textured = cv2.compare(spread, _SAME_GREY, cv2.CMP_GT)
    return np.asarray(cv2.resize(textured, grey.shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)


def _score(contribution: npt.NDArray[np.float64]) -> UInt8Array:
    return np.clip(np.rint(contribution / _STEP), 0, 255).astype(np.uint8)
