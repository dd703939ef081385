"""Two pictures and their calibration in, metric depth out: the Python API without ROS."""

from depth_ros.files.motorcycle import load_motorcycle
from depth_ros.pipeline import depth_map, stereo_estimator, stereo_frame
from depth_ros.settings import Settings

pair = load_motorcycle()  # or read_picture(...) and read_pair(...) of depth_ros.files
settings = Settings(range_min_m=1.0)

frame = stereo_frame(pair.left, pair.right, pair.left_calibration, pair.right_calibration, settings)
depth = depth_map(frame, stereo_estimator(settings), settings)

row, column = 250, 370
print(f'{depth.camera.width}x{depth.camera.height}, {depth.depth_m[row, column]:.2f} m at the centre')
