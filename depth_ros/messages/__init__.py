"""Conversion between ROS messages and frames, for rclpy and for recordings; nothing here imports ROS."""
