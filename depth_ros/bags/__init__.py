"""Recordings: what a node would make of a bag, made without ROS, frame by frame."""
