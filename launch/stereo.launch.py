"""Start `stereo_depth`. `ros2 launch depth_ros stereo.launch.py --show-args` lists the arguments."""

from depth_ros.settings.node_settings import StereoSettings
from depth_ros.tools.launch_description import describe


def generate_launch_description():
    """Declare the arguments, then the node and, on request, RViz."""
    return describe(
        'stereo_depth',
        StereoSettings,
        'config/stereo.yaml',
        inputs={
            'left/image_rect': '',
            'left/camera_info': 'left/image_rect',
            'right/image_rect': '',
            'right/camera_info': 'right/image_rect',
        },
        parameters=('quality', 'camera_height_m', 'camera_pitch_rad'),
    )
