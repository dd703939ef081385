"""Read depth/image_rect and points in your own node, with cv_bridge and sensor_msgs_py.

python 06_subscriber.py --ros-args -r __ns:=/front
"""

from contextlib import suppress

import numpy as np
import rclpy
from cv_bridge import CvBridge
from rclpy.node import Node
from sensor_msgs.msg import Image, PointCloud2
from sensor_msgs_py import point_cloud2


class DepthReader(Node):
    """Prints the distance of the nearest point."""

    def __init__(self) -> None:
        super().__init__('depth_reader')
        self._bridge = CvBridge()
        self.create_subscription(Image, 'depth/image_rect', self._on_depth, 2)
        self.create_subscription(PointCloud2, 'points', self._on_points, 2)

    def _on_depth(self, message: Image) -> None:
        depth_m = self._bridge.imgmsg_to_cv2(message, '32FC1')  # NaN = unknown, +Inf = beyond range, -Inf = too close
        known = depth_m[np.isfinite(depth_m)]
        if known.size:
            self.get_logger().info(f'nearest pixel {known.min():.2f} m, density {known.size / depth_m.size:.0%}')

    def _on_points(self, message: PointCloud2) -> None:
        points = point_cloud2.read_points_numpy(message, field_names=['x', 'y', 'z'], skip_nans=True)
        if len(points):
            self.get_logger().info(f'nearest point {np.linalg.norm(points, axis=1).min():.2f} m')


def main() -> None:
    with rclpy.init(), suppress(KeyboardInterrupt):
        rclpy.spin(DepthReader())


if __name__ == '__main__':
    main()
