"""Recordings: what a node would make of a bag, made without ROS, frame by frame."""

from depth_ros.errors import BadFile

try:
    import rosbags  # noqa: F401
except ImportError as error:
    raise BadFile(f'bags need the library rosbags ({error}): pip install depth_ros[bags]') from error
