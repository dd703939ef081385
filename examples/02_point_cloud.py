"""A depth map as a coloured point cloud, written as PLY."""

import sys
from pathlib import Path

from depth_ros.files.motorcycle import load_motorcycle
from depth_ros.files.ply import write_ply
from depth_ros.pipeline import depth_map, stereo_estimator, stereo_frame
from depth_ros.settings import StereoSettings
from depth_ros.stages.project import project

pair = load_motorcycle()
settings = StereoSettings(quality='strict')
frame = stereo_frame(pair.left, pair.right, pair.left_calibration, pair.right_calibration, settings)
cloud = project(depth_map(frame, stereo_estimator(settings), settings), colored=True, organized=False)

path = Path(sys.argv[1] if len(sys.argv) > 1 else 'points.ply')
print(f'{write_ply(path, cloud)} points in {path}')
