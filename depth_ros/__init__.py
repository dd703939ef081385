"""Turn camera images into metric depth images and point clouds.

This module is the Python interface, which does not require ROS::

    import depth_ros

    left, right = depth_ros.read_image('left.png'), depth_ros.read_image('right.png')
    calibrations = depth_ros.read_stereo_calibration('left.yaml', 'right.yaml')
    with depth_ros.StereoDepth() as stereo:
        depth = stereo(left, right, *calibrations)
    depth_ros.write_ply('points.ply', depth_ros.point_cloud(depth))

Its names are those of ``depth_ros.python_interface``, imported on first use so that ``import depth_ros`` is fast;
everything else is internal. The processing steps are in ``depth_ros.pipeline``, the nodes are in ``depth_ros.ros``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from depth_ros.python_interface import *  # noqa: F403

__version__ = '0.1.0'


def __getattr__(name: str) -> Any:
    if name.startswith('__') and name != '__all__':
        raise AttributeError(f"module 'depth_ros' has no attribute '{name}'")
    interface = import_module('depth_ros.python_interface')
    if name != '__all__' and name not in interface.__all__:
        raise AttributeError(f"module 'depth_ros' has no attribute '{name}'; it has {', '.join(interface.__all__)}")
    return getattr(interface, name)


def __dir__() -> list[str]:
    return ['__version__', *import_module('depth_ros.python_interface').__all__]
