"""Recordings: reads rosbag2 bags, writes depth bags, and runs the pipeline of a node over a bag without ROS."""

from depth_ros.errors import BadFile
from depth_ros.files.install_command import install_command

try:
    import rosbags  # noqa: F401
except ImportError as error:
    raise BadFile(f'reading bags requires the library rosbags ({error}): {install_command("bags")}') from error
