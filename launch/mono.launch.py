"""Start `mono_depth`. `ros2 launch depth_ros mono.launch.py --show-args` lists the arguments."""

from depth_ros.settings.node_settings import MonoSettings
from depth_ros.tools.launch_description import describe


def generate_launch_description():
    """Declare the arguments, then the node and, on request, RViz."""
    return describe(
        'mono_depth',
        MonoSettings,
        'config/mono.yaml',
        inputs={
            'image': '',
            'camera_info': 'image',
            'scale/reference': '',
            'scale/camera_info': 'scale/reference',
            'odom': '',
        },
        parameters=('model', 'scale.source', 'camera_height_m', 'camera_pitch_rad'),
        several_cameras=True,
    )
