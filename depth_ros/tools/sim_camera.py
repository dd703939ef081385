"""The ``sim_camera`` node: publishes the sensors of a simulated robot, for tests without hardware."""

import sys
from functools import partial
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import LaserScan

from depth_ros.errors import BadSettings
from depth_ros.files.calibration_files import stereo_calibration
from depth_ros.messages import read_messages
from depth_ros.ros import node_process
from depth_ros.ros.node_parameters import number_parameter, refuse_unknown_parameters
from depth_ros.ros.ros_messages import to_ros
from depth_ros.sim.render import RobotMount, render, scan
from depth_ros.sim.world import PlanarPose, make_world
from depth_ros.types import AnyArray, Camera

_SCAN_HEIGHT_M = 0.2


class SimCamera(Node):
    """Publishes the sensors of a robot that drives through a world generated from a seed.

    Publishes ``left/image_rect``, ``right/image_rect`` with ``camera_info`` (if ``baseline_m`` is above 0), ``image``
    and ``camera_info`` (the left camera again), ``truth/depth`` (32FC1 metres, exact), ``odom`` and ``scan``.
    Parameters: ``seed``, ``width``, ``height``, ``focal_px``, ``baseline_m``, ``camera_height_m``, ``rate_hz``,
    ``frame_id``. On exit the node prints ``{"frames_sent": n}``.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__('sim_camera', **node_options)
        number = partial(number_parameter, self)
        seed, width, height = number('seed', 1), number('width', 320), number('height', 240)
        focal = number('focal_px', 0.8 * width)
        self._baseline_m = number('baseline_m', 0.1)
        self._height_m = number('camera_height_m', 0.5)
        rate_hz = number('rate_hz', 10.0)
        self._frame_id = str(self.declare_parameter('frame_id', 'sim_camera_optical_frame').value)
        refuse_unknown_parameters(self)
        if min(width, height, focal, rate_hz, self._height_m) <= 0 or self._baseline_m < 0:
            raise BadSettings(
                f'width {width:g}, height {height:g}, focal_px {focal:g}, camera_height_m {self._height_m:g} and '
                f'rate_hz {rate_hz:g} must be positive, and baseline_m {self._baseline_m:g} must not be negative'
            )
        self._world = make_world(int(seed))
        self._camera = Camera(int(width), int(height), focal, focal, width / 2 - 0.5, height / 2 - 0.5)
        k = (focal, 0.0, self._camera.cx, 0.0, focal, self._camera.cy, 0.0, 0.0, 1.0)
        self._calibrations = stereo_calibration(int(width), int(height), k, k, self._baseline_m)
        self._publishers_by_topic: dict[str, Any] = {}
        self._sent = 0
        self.create_timer(1 / rate_hz, self._publish)
        self._rate_hz = rate_hz

    def stop(self) -> bool:
        """Print the number of frames that were sent."""
        node_process.print_frames_sent(self._sent)
        return True

    def _publish(self) -> None:
        stamp: Time = self.get_clock().now().to_msg()
        pose = self._world.pose_at(self._sent / self._rate_hz)
        left, depth = render(self._world, pose, RobotMount(self._height_m, left_m=self._baseline_m / 2), self._camera)
        head = to_ros.header(read_messages.stamp_ns(stamp), self._frame_id)
        left_info = to_ros.calibration(self._calibrations[0], head)
        self._send('camera_info', left_info)
        self._send('truth/depth', to_ros.image(depth, '32FC1', head))
        self._send('image', to_ros.image(left, 'rgb8', head))
        if self._baseline_m > 0:
            right, _ = render(self._world, pose, RobotMount(self._height_m, left_m=-self._baseline_m / 2), self._camera)
            self._send('left/camera_info', left_info)
            self._send('right/camera_info', to_ros.calibration(self._calibrations[1], head))
            self._send('left/image_rect', to_ros.image(left, 'rgb8', head))
            self._send('right/image_rect', to_ros.image(right, 'rgb8', head))
        self._send('odom', _odometry(pose, stamp))
        self._send('scan', _scan_message(scan(self._world, pose, _SCAN_HEIGHT_M), stamp))
        self._sent += 1

    def _send(self, topic: str, message: Any) -> None:
        if topic not in self._publishers_by_topic:
            self._publishers_by_topic[topic] = self.create_publisher(type(message), topic, 2)
        self._publishers_by_topic[topic].publish(message)


def _odometry(pose: PlanarPose, stamp: Time) -> Odometry:
    message = Odometry(child_frame_id='base_link')
    message.header.stamp, message.header.frame_id = stamp, 'odom'
    message.pose.pose.position.x, message.pose.pose.position.y = pose.x, pose.y
    message.pose.pose.orientation.z = float(np.sin(pose.yaw_rad / 2))
    message.pose.pose.orientation.w = float(np.cos(pose.yaw_rad / 2))
    return message


def _scan_message(ranges: AnyArray, stamp: Time) -> LaserScan:
    message = LaserScan(
        angle_min=0.0, angle_max=2 * np.pi * (1 - 1 / len(ranges)), angle_increment=2 * np.pi / len(ranges),
        range_min=0.05, range_max=30.0, ranges=ranges.tolist(),
    )  # fmt: skip
    message.header.stamp, message.header.frame_id = stamp, 'sim_laser'
    return message


def main() -> int:
    """Entry point of the executable ``sim_camera``."""
    node_process.catch_signals()
    return node_process.run(SimCamera)


if __name__ == '__main__':
    sys.exit(main())
