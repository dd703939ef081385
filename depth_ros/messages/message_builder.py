"""ROS messages from plain values, for any library with message classes (rclpy, rosbags)."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from depth_ros.geometry import quaternion_of
from depth_ros.stages.navigation import Scan
from depth_ros.types import AnyArray, Calibration, Camera, Cloud, Disparity, Float64Array

_NS = 1_000_000_000
_BIG_ENDIAN = sys.byteorder == 'big'
_FLOAT32 = 7  # sensor_msgs/PointField


class MessageBuilder:
    """Builds the messages of one library.

    Args:
        make: Returns a message of a type, such as ``sensor_msgs/msg/Image``, from the values of all its fields.
            Sequences are passed as lists of floats or as arrays; ``data`` is an array of any type.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        """Return a std_msgs/Header from a stamp and a frame."""
        stamp = self._make('builtin_interfaces/msg/Time', sec=stamp_ns // _NS, nanosec=stamp_ns % _NS)
        return self._make('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)

    def camera_info(self, camera: Camera, header: Any) -> Any:
        """Return the CameraInfo of a rectified image: no distortion, P = [K | 0]."""
        fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
        k = (fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0)
        p = (fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0)
        return self.calibration(Calibration(camera.width, camera.height, k, p, d=(0.0,) * 5), header)

    def calibration(self, calibration: Calibration, header: Any) -> Any:
        """Return a calibration as CameraInfo, as a camera driver publishes it."""
        x, y, width, height = calibration.roi or (0, 0, 0, 0)
        roi = self._make(
            'sensor_msgs/msg/RegionOfInterest', x_offset=x, y_offset=y, height=height, width=width, do_rectify=False
        )
        binning_x, binning_y = calibration.binning if calibration.binning != (1, 1) else (0, 0)
        return self._make(
            'sensor_msgs/msg/CameraInfo', header=header, height=calibration.height, width=calibration.width,
            distortion_model=calibration.distortion_model, d=list(calibration.d), k=list(calibration.k),
            r=list(calibration.r), p=list(calibration.p), binning_x=binning_x, binning_y=binning_y, roi=roi,
        )  # fmt: skip

    def image(self, pixels: AnyArray, encoding: str, header: Any) -> Any:
        """Return (H, W) or (H, W, C) pixels as Image; the encoding must fit them."""
        height, width = pixels.shape[:2]
        return self._make(
            'sensor_msgs/msg/Image', header=header, height=height, width=width, encoding=encoding,
            is_bigendian=_BIG_ENDIAN, step=pixels.nbytes // height, data=pixels,
        )  # fmt: skip

    def pose_array(self, poses: Sequence[Float64Array], header: Any) -> Any:
        """Return (4, 4) poses in the frame of the header as PoseArray."""
        return self._make('geometry_msgs/msg/PoseArray', header=header, poses=[self._pose(pose) for pose in poses])

    def _pose(self, pose: Float64Array) -> Any:
        position = dict(zip('xyz', pose[:3, 3].tolist(), strict=True))
        rotation = dict(zip('xyzw', quaternion_of(pose[:3, :3]), strict=True))
        return self._make(
            'geometry_msgs/msg/Pose',
            position=self._make('geometry_msgs/msg/Point', **position),
            orientation=self._make('geometry_msgs/msg/Quaternion', **rotation),
        )

    def compressed_image(self, data: AnyArray, image_format: str, header: Any) -> Any:
        """Return (N,) bytes as CompressedImage."""
        return self._make('sensor_msgs/msg/CompressedImage', header=header, format=image_format, data=data)

    def laser_scan(self, scan: Scan, range_min_m: float, range_max_m: float, header: Any) -> Any:
        """Return a level scan as LaserScan; the frame of the header has x forward, y left, z up."""
        angle_max = scan.angle_min_rad + (len(scan.ranges_m) - 1) * scan.angle_increment_rad
        return self._make(
            'sensor_msgs/msg/LaserScan', header=header, angle_min=scan.angle_min_rad, angle_max=angle_max,
            angle_increment=scan.angle_increment_rad, time_increment=0.0, scan_time=0.0, range_min=range_min_m,
            range_max=range_max_m, ranges=scan.ranges_m, intensities=np.empty(0, np.float32),
        )  # fmt: skip

    def disparity_image(self, disparity: Disparity, header: Any) -> Any:
        """Return a DisparityImage; unknown pixels are below min_disparity, as stereo_msgs specifies."""
        below = np.float32(disparity.min_px - 1)
        known = np.where(np.isnan(disparity.disparity_px), below, disparity.disparity_px)
        height, width = known.shape
        window = self._make(
            'sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=height, width=width, do_rectify=False
        )
        return self._make(
            'stereo_msgs/msg/DisparityImage', header=header, image=self.image(known, '32FC1', header), f=disparity.fx,
            t=disparity.baseline_m, valid_window=window, min_disparity=disparity.min_px,
            max_disparity=disparity.max_px, delta_d=1 / 16,
        )  # fmt: skip

    def point_cloud(self, cloud: Cloud, header: Any) -> Any:
        """Return a cloud as PointCloud2: float32 x y z (rgb), without padding; row by row if organized.

        Pixel (u, v) of an organized cloud is point ``v * width + u``. ``is_dense`` is false if a point is NaN.
        """
        dense = bool(np.isfinite(cloud.points[..., 2]).all())
        return self.point_cloud_of(cloud.points, cloud.points.shape, header, dense)

    def point_cloud_of(self, data: Any, shape: tuple[int, ...], header: Any, dense: bool) -> Any:
        """Return a PointCloud2 of points of shape (N, C) or (H, W, C); ``data`` is in the type of the library.

        Args:
            dense: Whether no point is NaN.
        """
        height, width = shape[:2] if len(shape) == 3 else (1, shape[0])
        names = ('x', 'y', 'z', 'rgb')[: shape[-1]]
        fields = [
            self._make('sensor_msgs/msg/PointField', name=name, offset=4 * i, datatype=_FLOAT32, count=1)
            for i, name in enumerate(names)
        ]
        return self._make(
            'sensor_msgs/msg/PointCloud2', header=header, height=height, width=width, fields=fields,
            is_bigendian=_BIG_ENDIAN, point_step=4 * len(names), row_step=4 * len(names) * width, data=data,
            is_dense=dense,
        )  # fmt: skip
