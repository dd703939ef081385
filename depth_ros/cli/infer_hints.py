"""Hints of ``depth-ros infer`` for images with little depth; exchanged or raw images are the usual causes."""

from collections.abc import Sequence
from pathlib import Path

from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.stages.intrinsics import looks_unrectified, stereo_rig
from depth_ros.stages.rectify import rectify
from depth_ros.stereo.pair_agreement import clearly_better, matched_share
from depth_ros.stereo.row_measurement import measure_rows
from depth_ros.stereo.row_tracker import MAX_OFF_PX, describe
from depth_ros.types import Calibration, StereoFrame, UInt8Array

_LOW_DENSITY = 0.6
"""Share of valid pixels below which a pair is examined; exchanged images of a textured scene give about one third."""


def stereo_hints(
    images: tuple[UInt8Array, UInt8Array],
    calibrations: tuple[Calibration, Calibration],
    settings: StereoSettings,
    valid_share: float,
) -> list[str]:
    """Return hints for a pair with little depth.

    A reduced copy of the pair is matched as given, exchanged and rectified; a variant that matches far better is
    recommended.
    """
    if valid_share >= _LOW_DENSITY:
        return []
    height, width = images[0].shape[:2]
    rig = stereo_rig(*calibrations, width, height)
    rectified = tuple(rectify(i, c, side) for i, c, side in zip(images, calibrations, ('left', 'right'), strict=True))
    given: Sequence[UInt8Array] = rectified if settings.rectify else images
    share = matched_share(given, rig)
    hints = []
    exchanged = matched_share(given[::-1], rig)
    if clearly_better(exchanged, than=share):
        hints.append(
            f'hint: {share:.0%} of the pixels match, and {exchanged:.0%} with left and right exchanged: exchange '
            '--left and --right'
        )
    if not settings.rectify:
        share_rectified = matched_share(rectified, rig)
        if clearly_better(share_rectified, than=share):
            hints.append(
                f'hint: {share:.0%} of the pixels match, and {share_rectified:.0%} after rectification: the images are '
                'raw, add --rectify'
            )
    return hints


def rows_hint(frame: StereoFrame, settings: StereoSettings, valid_share: float) -> list[str]:
    """Return a hint for a pair with little depth whose rows do not match."""
    if valid_share >= _LOW_DENSITY or settings.align_rows or (shift := measure_rows(frame).shift) is None:
        return []
    off_px = shift.rms_px(frame.rig.right)
    if off_px <= MAX_OFF_PX:
        return []
    return [
        f'hint: the rows of the right image are off by {describe(shift, off_px)}: calibrate the pair again, or add '
        '-p align_rows:=true'
    ]


def raw_image_hint(path: Path, calibration: Calibration, settings: MonoSettings | StereoSettings) -> list[str]:
    """Return a hint to use ``--rectify`` if the calibration describes raw images."""
    if settings.rectify or not looks_unrectified(calibration):
        return []
    return [f'hint: {path} has distortion but no rectification (P is K): if the images are raw, add --rectify']
