"""Start `mono_depth`. `ros2 launch depth_ros mono.launch.py --show-args` lists the arguments."""

from depth_ros.launching import describe


def generate_launch_description():
    """Declare the arguments, then the node and, on request, RViz."""
    return describe(
        'mono_depth',
        'config/mono.yaml',
        inputs=('image', 'camera_info', 'scale/reference'),
        parameters={
            'model': 'model',
            'scale_source': 'scale.source',
            'camera_height_m': 'camera_height_m',
            'camera_pitch_rad': 'camera_pitch_rad',
            'cameras': 'cameras',
        },
        meanings={
            'model': 'id of a network (depth-ros models list), or the path of its manifest or ONNX file',
            'scale_source': 'where metres come from: none, fixed, reference or ground',
            'camera_height_m': 'of the camera above the floor',
            'camera_pitch_rad': 'how far the camera looks down',
            'cameras': 'names of several cameras in this process, such as [front, left, rear]; each is a namespace',
        },
    )
