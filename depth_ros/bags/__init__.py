"""Recordings: what a node would make of a bag, made without ROS, frame by frame."""

from depth_ros.errors import BadFile
from depth_ros.files.install_command import install_command

try:
    import rosbags  # noqa: F401
except ImportError as error:
    raise BadFile(f'bags need the library rosbags ({error}): {install_command("bags")}') from error
