"""Compute metric depth from one image with a metric network.

    depth-ros models pull depth-anything-v2-metric-indoor-small
    python 02_mono_metric_network.py depth-anything-v2-metric-indoor-small room.png [camera.yaml]

The model is an id of `depth-ros models list`, or the path of a manifest or model file.
"""

import sys

import numpy as np

import depth_ros

model, image_path, *calibration_path = sys.argv[1:]
image = depth_ros.read_image(image_path)
calibration = depth_ros.read_calibration(calibration_path[0]) if calibration_path else None

with depth_ros.MonoDepth(model) as mono:
    depth = mono(image, calibration)

if isinstance(depth, depth_ros.RelativeMap):
    sys.exit(f'the depth is not in metres: {depth.missing_for_metres}')
print(f'median {np.nanmedian(depth.depth_m):.2f} m, nearest {np.nanmin(depth.depth_m):.2f} m')
depth_ros.write_image('depth_turbo.png', depth_ros.colorize(depth.depth_m))
