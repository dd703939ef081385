"""The ``file_camera`` node: publishes image files as a stereo camera, for tests without a camera."""

import itertools
import sys
from pathlib import Path
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from depth_ros.errors import BadFile
from depth_ros.evaluation.motorcycle_pair import load_motorcycle
from depth_ros.files.calibration_files import read_pair
from depth_ros.files.image_files import list_image_files, read_image_file
from depth_ros.ros import node_process
from depth_ros.ros.node_parameters import number_parameter, refuse_unknown_parameters
from depth_ros.ros.ros_messages import to_ros
from depth_ros.types import Calibration, UInt8Array

ImagePair = tuple[UInt8Array, UInt8Array]


class FileCamera(Node):
    """Publishes left and right images with their calibration in a loop.

    Parameters: ``left``, ``right`` (an image, or a folder of images, which are published in order of their names),
    ``left_info``, ``right_info`` (camera_info YAML, or one Middlebury calib.txt), ``rate_hz``, ``frame_id``. If
    ``left`` is empty, the Motorcycle pair included in scikit-image is published. On exit the node prints
    ``{"frames_sent": n}``.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__('file_camera', **node_options)
        text = {
            name: str(self.declare_parameter(name, default).value)
            for name, default in (
                ('left', ''), ('right', ''), ('left_info', ''), ('right_info', ''),
                ('frame_id', 'left_camera_optical_frame'),
            )
        }  # fmt: skip
        rate_hz = number_parameter(self, 'rate_hz', 10.0)
        refuse_unknown_parameters(self)
        if rate_hz <= 0:
            raise BadFile(f'rate_hz is {rate_hz:g}; expected a number of pairs per second above 0')
        images, calibrations = _source(text)
        self._pairs = itertools.cycle(
            [
                tuple(to_ros.image(i, 'mono8' if i.ndim == 2 else 'rgb8', to_ros.header(0, '')) for i in pair)
                for pair in images
            ]
        )
        self._infos = [to_ros.calibration(c, to_ros.header(0, '')) for c in calibrations]
        self._image_publishers = [self.create_publisher(Image, f'{s}/image_rect', 2) for s in ('left', 'right')]
        self._info_publishers = [self.create_publisher(CameraInfo, f'{s}/camera_info', 2) for s in ('left', 'right')]
        self._frame_id = text['frame_id']
        self._sent = 0
        self.create_timer(1 / rate_hz, self._publish)

    def stop(self) -> bool:
        """Print the number of pairs that were sent."""
        node_process.print_frames_sent(self._sent)
        return True

    def _publish(self) -> None:
        stamp: Time = self.get_clock().now().to_msg()
        for publisher, info in zip(self._info_publishers, self._infos, strict=True):
            self._stamp(info, stamp)
            publisher.publish(info)
        for publisher, image in zip(self._image_publishers, next(self._pairs), strict=True):
            self._stamp(image, stamp)
            publisher.publish(image)
        self._sent += 1

    def _stamp(self, message: Any, stamp: Time) -> None:
        message.header.stamp = stamp
        message.header.frame_id = self._frame_id


def _source(text: dict[str, str]) -> tuple[list[ImagePair], tuple[Calibration, Calibration]]:
    if not text['left']:
        pair = load_motorcycle()
        return [(pair.left, pair.right)], (pair.left_calibration, pair.right_calibration)
    missing = [name for name in ('right', 'left_info') if not text[name]]
    if missing:
        raise BadFile(f"'left' is set without {' and '.join(missing)}; set these parameters too")
    left, right = (list_image_files(Path(text[side])) for side in ('left', 'right'))
    if len(left) != len(right):
        raise BadFile(
            f'{text["left"]} has {len(left)} images and {text["right"]} has {len(right)}; expected equal numbers'
        )
    right_info = Path(text['right_info']) if text['right_info'] else None
    pairs = [(read_image_file(a), read_image_file(b)) for a, b in zip(left, right, strict=True)]
    return pairs, read_pair(Path(text['left_info']), right_info)


def main() -> int:
    """Entry point of the executable ``file_camera``."""
    node_process.catch_signals()
    return node_process.run(FileCamera)


if __name__ == '__main__':
    sys.exit(main())
