"""Start a depth node together with a camera driver in your own launch file.

    ros2 launch ./05_camera_and_depth.launch.py

The node adopts the QoS of the driver, and publishes depth/image_rect and points in its namespace.
"""

from launch.actions import SetEnvironmentVariable
from launch_ros.actions import Node

import depth_ros
from launch import LaunchDescription

TOPICS = {
    'left/image_rect': 'camera/infra1/image_rect_raw',
    'left/camera_info': 'camera/infra1/camera_info',
    'right/image_rect': 'camera/infra2/image_rect_raw',
    'right/camera_info': 'camera/infra2/camera_info',
}
"""Topics of depth_ros, and the names that the driver of the camera uses for them."""


def generate_launch_description() -> LaunchDescription:
    """Start a camera and stereo_depth in the namespace front."""
    # file_camera publishes the Motorcycle pair in place of a driver, under the driver's names.
    camera = Node(package='depth_ros', executable='file_camera', namespace='front', remappings=TOPICS.items())
    depth = Node(
        package='depth_ros',
        executable='stereo_depth',
        namespace='front',
        remappings=TOPICS.items(),
        parameters=[{'quality': 'strict', 'range_max_m': 10.0}],
    )
    # Shared memory that holds whole images; without it, Fast DDS splits them into fragments of 64 KB.
    return LaunchDescription([SetEnvironmentVariable(*depth_ros.fastdds_profile()), camera, depth])
