"""The ROS 2 nodes. Only this folder, ``tools`` and some commands import ROS."""
