"""Picture → the tensor that a depth network takes."""

import cv2
import numpy as np

from depth_ros.types import Float32Array, UInt8Array

Triple = tuple[float, float, float]


def network_input(
    image: UInt8Array, width: int, height: int, mean: Triple, std: Triple, interpolation: int = cv2.INTER_CUBIC
) -> Float32Array:
    """Resize an RGB picture and normalise it: ``y = (x / 255 - mean) / std`` per channel.

    Resizing comes first and in eight bits, where it costs a quarter.

    Args:
        image: (H, W, 3) RGB.
        width: Of the tensor, pixels.
        height: Of the tensor, pixels.
        mean: Of each channel, in [0, 1].
        std: Of each channel.
        interpolation: OpenCV's code.

    Returns:
        (1, 3, height, width).
    """
    small = cv2.resize(image, (width, height), interpolation=interpolation)
    tensor = np.empty((1, 3, height, width), np.float32)
    for channel, plane in enumerate(cv2.split(small)):
        gain = 1 / (255 * std[channel])
        offset = -mean[channel] / std[channel]
        cv2.addWeighted(plane, gain, plane, 0, offset, dst=tensor[0, channel], dtype=cv2.CV_32F)
    return tensor
