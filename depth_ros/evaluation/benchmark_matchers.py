"""Stereo matchers that the benchmark compares: those of this package, of OpenCV, and ELAS if it is installed."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any, get_args

import cv2
import numpy as np

from depth_ros.errors import EstimatorError
from depth_ros.pipeline import stereo_estimator
from depth_ros.settings.node_settings import Quality, StereoSettings
from depth_ros.stages.decode_image import as_grey
from depth_ros.types import AnyArray, Camera, Float32Array, RawDisparity, StereoFrame, StereoRig, UInt8Array

REFERENCE = 'SGBM 3-way'
"""Name of the matcher that run times are compared with."""
_BLOCK = 5
_P1, _P2 = 8 * _BLOCK**2, 32 * _BLOCK**2
_UNIQUENESS, _SPECKLE_PX, _SPECKLE_RANGE = 10, 100, 2
_BM_BLOCK, _WLS_LAMBDA, _WLS_SIGMA = 15, 8000.0, 1.5
"""Values of OpenCV's sample ``disparity_filtering``."""

Prepare = Callable[[UInt8Array, UInt8Array, int], AbstractContextManager[Callable[[], Any]]]
"""Provides the call that is timed, for the left and the right image, (H, W) grey or (H, W, 3) RGB, and the number of
disparities to search; the matcher is released at the end of the context."""


@dataclass(frozen=True)
class BenchmarkMatcher:
    """A stereo matcher as the benchmark runs it."""

    name: str
    prepare: Prepare
    read: Callable[[Any], Float32Array]
    """Returns the (H, W) disparity in the result of that call; NaN = unknown."""


def benchmark_matchers() -> tuple[list[BenchmarkMatcher], dict[str, str]]:
    """Return the available matchers, and how to install the others, by name."""
    matchers = [BenchmarkMatcher(quality, _quality(quality), _from_estimator) for quality in get_args(Quality)]
    matchers += [
        BenchmarkMatcher(REFERENCE, _sgbm(cv2.STEREO_SGBM_MODE_SGBM_3WAY), _from_sixteenths),
        BenchmarkMatcher('SGBM HH', _sgbm(cv2.STEREO_SGBM_MODE_HH), _from_sixteenths),
    ]
    missing = {}
    ximgproc = getattr(cv2, 'ximgproc', None)
    if hasattr(ximgproc, 'createDisparityWLSFilter'):  # with both wheels of OpenCV installed, the module may be empty
        matchers.append(BenchmarkMatcher('StereoBM + WLS', _bm_with_wls(ximgproc), _from_sixteenths))
    else:
        missing['StereoBM + WLS'] = 'pip install opencv-contrib-python-headless'
    if (elas := _elas_module()) is not None:
        matchers.append(BenchmarkMatcher('ELAS', _elas(elas), _from_elas))
    else:
        missing['ELAS'] = 'pip install pyelas (GPL-3.0)'
    return matchers, missing


def _quality(quality: Quality) -> Prepare:
    @contextmanager
    def prepare(left: UInt8Array, right: UInt8Array, disparities: int) -> Iterator[Callable[[], RawDisparity]]:
        # The search begins one disparity below infinity (0), so the largest one is two less than their number.
        estimator = stereo_estimator(StereoSettings(quality=quality, max_disparity=disparities - 2))
        height, width = left.shape[:2]
        camera = Camera(width, height, float(width), float(width), width / 2 - 0.5, height / 2 - 0.5)
        frame = StereoFrame(left, right, StereoRig(camera, camera.cx, 0.1))
        with closing(estimator):
            yield lambda: estimator.estimate(frame)

    return prepare


def _from_estimator(raw: RawDisparity) -> Float32Array:
    return raw.disparity_px


def _sgbm(mode: int) -> Prepare:
    @contextmanager
    def prepare(left: UInt8Array, right: UInt8Array, disparities: int) -> Iterator[Callable[[], AnyArray]]:
        if left.shape[1] <= disparities:  # OpenCV 4.6 would end the process: it throws in a thread of its own
            raise EstimatorError(
                f'the images have {left.shape[1]} columns; expected more than the {disparities} disparities of the '
                'search. Set --max-disparity'
            )
        matcher = cv2.StereoSGBM.create(
            minDisparity=0, numDisparities=disparities, blockSize=_BLOCK, P1=_P1, P2=_P2,
            uniquenessRatio=_UNIQUENESS, speckleWindowSize=_SPECKLE_PX, speckleRange=_SPECKLE_RANGE, mode=mode,
        )  # fmt: skip
        grey = as_grey(left), as_grey(right)
        yield lambda: np.asarray(matcher.compute(*grey))

    return prepare


def _bm_with_wls(ximgproc: Any) -> Prepare:
    @contextmanager
    def prepare(left: UInt8Array, right: UInt8Array, disparities: int) -> Iterator[Callable[[], AnyArray]]:
        matcher = cv2.StereoBM.create(numDisparities=disparities, blockSize=_BM_BLOCK)
        right_matcher = ximgproc.createRightMatcher(matcher)
        wls = ximgproc.createDisparityWLSFilter(matcher)
        wls.setLambda(_WLS_LAMBDA)
        wls.setSigmaColor(_WLS_SIGMA)
        grey = as_grey(left), as_grey(right)

        def match() -> AnyArray:
            from_left, from_right = matcher.compute(*grey), right_matcher.compute(*grey[::-1])
            return np.asarray(wls.filter(from_left, grey[0], disparity_map_right=from_right))

        yield match

    return prepare


def _from_sixteenths(disparity: AnyArray) -> Float32Array:
    """Read the fixed-point disparity of OpenCV, whose unknown pixels are negative."""
    return np.where(disparity < 0, np.nan, disparity / 16).astype(np.float32)


def _elas_module() -> Any:
    """Return the module of the package ``pyelas``; None if it is not installed."""
    try:
        module = importlib.import_module('elas')
    except ImportError:
        return None
    return module if hasattr(module, 'Elas') else None  # the package elas on PyPI is a client of Elasticsearch


def _elas(module: Any) -> Prepare:
    @contextmanager
    def prepare(left: UInt8Array, right: UInt8Array, disparities: int) -> Iterator[Callable[[], AnyArray]]:
        matcher = module.Elas(disp_max=disparities - 1)  # the other parameters have the preset "robotics"
        grey = [np.ascontiguousarray(as_grey(image)) for image in (left, right)]
        yield lambda: np.asarray(matcher.process(*grey)[0])

    return prepare


def _from_elas(disparity: AnyArray) -> Float32Array:
    return np.where(disparity < 0, np.nan, disparity).astype(np.float32)
