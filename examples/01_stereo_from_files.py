"""Two pictures and their calibration in, metric depth out: the Python API without ROS."""

from depth_ros.files.motorcycle import load_motorcycle
from depth_ros.pipeline import depth_map, stereo_estimator, stereo_frame
from depth_ros.settings import StereoSettings

pair = load_motorcycle()  # or read_picture(...) and read_pair(...) of depth_ros.files
settings = StereoSettings(range_min_m=1.0)

frame = stereo_frame(pair.left, pair.right, pair.left_calibration, pair.right_calibration, settings)
depth = depth_map(frame, stereo_estimator(settings), settings)

row, column = 250, 370
print(f'{depth.depth_m.shape}, {depth.depth_m[row, column]:.2f} m at the centre')
