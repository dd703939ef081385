"""Turn camera images into metric depth images and point clouds.

The flow is drawn in ``depth_ros.pipeline``; nodes are in ``depth_ros.ros`` (the only package that needs ROS 2).
"""

__version__ = '0.1.0'
