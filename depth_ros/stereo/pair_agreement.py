"""Share of matching pixels of two images, which detects exchanged and unrectified images."""

from collections.abc import Sequence

import cv2
import numpy as np

from depth_ros.errors import EstimatorError
from depth_ros.stereo.semi_global_matching import SemiGlobalMatching
from depth_ros.types import StereoFrame, StereoRig, UInt8Array

_WIDTH_PX = 320
_MATCHED = 0.3


def matched_share(images: Sequence[UInt8Array], rig: StereoRig) -> float:
    """Return the share of pixels with a consistent match, computed on copies at most 320 pixels wide."""
    height, width = images[0].shape[:2]
    scale = min(_WIDTH_PX / width, 1.0)
    size = (max(round(width * scale), 32), max(round(height * scale), 32))
    left, right = (np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)) for image in images)
    frame = StereoFrame(left, right, rig.resized(*size))
    try:
        result = SemiGlobalMatching('strict', max_disparity_px=size[0] / 3).estimate(frame)
    except EstimatorError:
        return 0.0
    return float(np.isfinite(result.disparity_px).mean())


def clearly_better(share: float, than: float) -> bool:
    """Return whether a matched share indicates a correct pair and the share ``than`` a wrong one."""
    return share > _MATCHED and share > 2 * than
