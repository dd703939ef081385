"""Messages ↔ plain values. Nothing here talks to the graph.

A ``uint8[]`` field is only fast when it is given an ``array.array('B')``; any other sequence is checked byte by byte
(rclpy#763). The generated constructor and setter copy even that one, once each, so it is put into the field's slot.
"""

import array
import sys

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2, PointField
from std_msgs.msg import Header
from stereo_msgs.msg import DisparityImage

from depth_ros.files.ros_fields import calibration as calibration
from depth_ros.files.ros_fields import picture as picture
from depth_ros.files.ros_fields import stamp_ns as stamp_ns
from depth_ros.stages.navigation import Scan
from depth_ros.types import AnyArray, Calibration, Camera, Cloud, Disparity

_NS = 1_000_000_000
_BIG_ENDIAN = sys.byteorder == 'big'


def header(stamp: int, frame_id: str) -> Header:
    """Return a header from nanoseconds and a frame."""
    return Header(stamp=Time(sec=stamp // _NS, nanosec=stamp % _NS), frame_id=frame_id)


def camera_info(camera: Camera, head: Header) -> CameraInfo:
    """Return the CameraInfo of a rectified image: no distortion, P = [K | 0]."""
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
    return CameraInfo(
        header=head,
        width=camera.width,
        height=camera.height,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def calibration_message(state: Calibration, head: Header) -> CameraInfo:
    """Return a calibration as a camera driver publishes it."""
    message = CameraInfo(
        header=head,
        width=state.width,
        height=state.height,
        distortion_model=state.distortion_model,
        d=list(state.d),
        k=list(state.k),
        r=list(state.r),
        p=list(state.p),
        binning_x=state.binning[0],
        binning_y=state.binning[1],
    )
    if state.roi:
        message.roi.x_offset, message.roi.y_offset, message.roi.width, message.roi.height = state.roi
    return message


def image(pixels: AnyArray, encoding: str, head: Header) -> Image:
    """Return (H, W) or (H, W, C) pixels as an Image; the encoding must fit them."""
    height, width = pixels.shape[:2]
    message = Image(
        header=head,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=_BIG_ENDIAN,
        step=pixels.nbytes // height,
    )
    message._data = _bytes(pixels)
    return message


def laser_scan(scan: Scan, range_min_m: float, range_max_m: float, head: Header) -> LaserScan:
    """Return a level scan; the frame of the header has x forward, y left, z up."""
    count = len(scan.ranges_m)
    message = LaserScan(
        header=head,
        angle_min=scan.angle_min_rad,
        angle_max=scan.angle_min_rad + (count - 1) * scan.angle_increment_rad,
        angle_increment=scan.angle_increment_rad,
        range_min=range_min_m,
        range_max=range_max_m,
    )
    message.ranges = array.array('f', scan.ranges_m.tobytes())
    return message


def disparity_image(disparity: Disparity, head: Header) -> DisparityImage:
    """Return a disparity as stereo_msgs wants it: unknown pixels lie below min_disparity."""
    known = np.where(np.isnan(disparity.disparity_px), np.float32(disparity.min_px - 1), disparity.disparity_px)
    message = DisparityImage(
        header=head,
        image=image(known, '32FC1', head),
        f=disparity.fx,
        t=disparity.baseline_m,
        min_disparity=disparity.min_px,
        max_disparity=disparity.max_px,
        delta_d=1 / 16,
    )
    message.valid_window.height, message.valid_window.width = known.shape
    return message


def point_cloud(cloud: Cloud, head: Header) -> PointCloud2:
    """Return a cloud as PointCloud2: float32 x y z (rgb), packed; row by row when organized.

    Pixel (u, v) of an organized cloud is point ``v * width + u``. ``is_dense`` is false if a point may be NaN.
    """
    return point_cloud_around(_bytes(cloud.points), cloud.points.shape, head)


def point_cloud_around(data: 'array.array[int]', shape: tuple[int, ...], head: Header) -> PointCloud2:
    """Return a PointCloud2 whose data is the given array itself, of points of the given shape."""
    height, width = shape[:2] if len(shape) == 3 else (1, shape[0])
    names = ('x', 'y', 'z', 'rgb')[: shape[-1]]
    message = PointCloud2(
        header=head,
        height=height,
        width=width,
        fields=[
            PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, name in enumerate(names)
        ],
        is_bigendian=_BIG_ENDIAN,
        point_step=4 * len(names),
        row_step=4 * len(names) * width,
        is_dense=len(shape) == 2,
    )
    message._data = data
    return message


def _bytes(pixels: AnyArray) -> 'array.array[int]':
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(pixels).reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    return data
