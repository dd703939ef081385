"""Start `stereo_depth`. `ros2 launch depth_ros stereo.launch.py --show-args` lists the arguments."""

from depth_ros.launching import describe


def generate_launch_description():
    """Declare the arguments, then the node and, on request, RViz."""
    return describe(
        'stereo_depth',
        'config/stereo.yaml',
        inputs=('left/image_rect', 'left/camera_info', 'right/image_rect', 'right/camera_info'),
        parameters={name: name for name in ('quality', 'camera_height_m', 'camera_pitch_rad')},
        meanings={
            'quality': 'of the matcher: balanced or strict',
            'camera_height_m': 'of the camera above the floor',
            'camera_pitch_rad': 'how far the camera looks down',
        },
    )
