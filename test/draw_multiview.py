"""Draws docs/images/multiview.jpg: python test/draw_multiview.py PATH"""

import sys
from dataclasses import replace

import cv2
import numpy as np

from depth_ros.evaluation.datasets.simulated_motion import simulated_sequence
from depth_ros.multiview.keyframes import KeyframeBuffer
from depth_ros.multiview.plane_sweep import PlaneSweep
from depth_ros.stages.colorize import colorize


def draw(path):
    rows = []
    for motion in ('forward', 'sideways'):
        buffer, estimator = KeyframeBuffer(), PlaneSweep()
        for load in simulated_sequence(32, motion, 7).frames:
            frame = load()
            sources = buffer.sources(frame.view)
            depth_m = estimator.estimate(frame.view, sources).values if sources else None
            buffer.add(replace(frame.view, depth_m=depth_m))
        maps = [colorize(each) for each in (frame.truth_m, depth_m)]
        rows.append(np.hstack([frame.view.image, *maps]))
    cv2.imwrite(path, cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == '__main__':
    draw(sys.argv[1])
