"""A depth node in your own launch file, beside the driver of the camera.

    ros2 launch ./05_camera_and_depth.launch.py

The node adopts the QoS of the driver, and publishes depth/image_rect and points in its namespace.
"""

from launch.actions import SetEnvironmentVariable
from launch_ros.actions import Node

import depth_ros
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Start a camera and stereo_depth in the namespace front."""
    camera = Node(
        package='depth_ros',
        executable='file_camera',  # in place of the driver: shows the Motorcycle pair
        namespace='front',
        # Your driver's topics may have other names; the depth node expects these.
        remappings=[('left/image_rect', 'left/image_rect'), ('right/image_rect', 'right/image_rect')],
    )
    depth = Node(
        package='depth_ros',
        executable='stereo_depth',
        namespace='front',
        parameters=[{'quality': 'strict', 'range_max_m': 10.0}],
    )
    # Shared memory that holds whole images; without it, Fast DDS cuts them into pieces of 64 KB.
    return LaunchDescription([SetEnvironmentVariable(*depth_ros.fastdds_profile()), camera, depth])
