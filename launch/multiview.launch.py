"""Start `multiview_depth`. `ros2 launch depth_ros multiview.launch.py --show-args` lists the arguments."""

from depth_ros.settings.node_settings import MultiviewSettings
from depth_ros.tools.launch_description import describe


def generate_launch_description():
    """Declare the arguments, then the node and, on request, RViz."""
    return describe(
        'multiview_depth',
        MultiviewSettings,
        'config/multiview.yaml',
        inputs={
            'image': '',
            'camera_info': 'image',
            'odom': '',
        },
        parameters=('pose_source', 'fixed_frame', 'extrinsics', 'hold', 'camera_height_m', 'camera_pitch_rad'),
    )
