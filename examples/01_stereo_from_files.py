"""Compute metric depth and a coloured point cloud from a stereo pair.

    python 01_stereo_from_files.py left.png right.png left.yaml right.yaml
    python 01_stereo_from_files.py          # the Motorcycle pair of Middlebury 2014, from scikit-image

The calibrations are YAML files of camera_calibration, or one Middlebury calib.txt for both cameras.
"""

import sys

import numpy as np

import depth_ros

if len(sys.argv) > 1:
    left, right = (depth_ros.read_image(path) for path in sys.argv[1:3])
    calibrations = depth_ros.read_stereo_calibration(*sys.argv[3:5])
else:
    pair = depth_ros.example_pair()
    left, right, calibrations = pair.left, pair.right, (pair.left_calibration, pair.right_calibration)

with depth_ros.StereoDepth(range_min_m=1.0) as stereo:
    depth = stereo(left, right, *calibrations)

known = np.isfinite(depth.depth_m)  # NaN = unknown, +Inf = beyond range, -Inf = too close
print(f'{known.mean():.0%} of the pixels have depth, median {np.median(depth.depth_m[known]):.2f} m')
depth_ros.write_image('depth.png', depth_ros.to_millimetres(depth.depth_m))  # 16-bit, as in REP 118
depth_ros.write_image('depth_turbo.png', depth_ros.colorize(depth.depth_m))
count = depth_ros.write_ply('points.ply', depth_ros.point_cloud(depth, colored=True, organized=False))
print(f'depth.png, depth_turbo.png and points.ply ({count} points) written')
