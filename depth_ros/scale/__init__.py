"""Metres for predictions that lack them: fits against references and the floor, followed over time. No ROS."""
