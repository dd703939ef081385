"""Start a depth node together with a camera driver in your own launch file.

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
        executable='file_camera',  # instead of a driver: publishes the Motorcycle pair
        namespace='front',
        # Remap the topics of your driver to these names, which the depth node expects.
        remappings=[('left/image_rect', 'left/image_rect'), ('right/image_rect', 'right/image_rect')],
    )
    depth = Node(
        package='depth_ros',
        executable='stereo_depth',
        namespace='front',
        parameters=[{'quality': 'strict', 'range_max_m': 10.0}],
    )
    # Shared memory for whole images; otherwise Fast DDS splits them into fragments of 64 KB.
    return LaunchDescription([SetEnvironmentVariable(*depth_ros.fastdds_profile()), camera, depth])
