"""ROS messages to frames and back, for rclpy and for recordings alike. Nothing here imports ROS."""
