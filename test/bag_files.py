"""Recordings for tests, written and read by rosbags."""

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scenes import calibrations, pair

STORE = get_typestore(Stores.ROS2_HUMBLE)
SIZE = (64, 96)


def make(name, /, **values):
    return STORE.types[name](**values)


def header(stamp):
    when = make('builtin_interfaces/msg/Time', sec=stamp // 10**9, nanosec=stamp % 10**9)
    return make('std_msgs/msg/Header', stamp=when, frame_id='left_camera_optical_frame')


def image(pixels, stamp):
    return make(
        'sensor_msgs/msg/Image', header=header(stamp), height=pixels.shape[0], width=pixels.shape[1], encoding='mono8',
        is_bigendian=0, step=pixels.shape[1], data=pixels.reshape(-1),
    )  # fmt: skip


def info(calibration, stamp):
    roi = make('sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return make(
        'sensor_msgs/msg/CameraInfo', header=header(stamp), height=calibration.height, width=calibration.width,
        distortion_model='plumb_bob', d=np.zeros(5), k=np.array(calibration.k), r=np.array(calibration.r),
        p=np.array(calibration.p), binning_x=0, binning_y=0, roi=roi,
    )  # fmt: skip


def write_bag(
    path,
    frames=5,
    damaged=(),
    infos=True,
    plugin=StoragePlugin.SQLITE3,
    namespace='',
    compress=False,
    stamp=lambda frame: 10**9 + frame * 10**8,
    recorded=lambda frame: 10**9 + frame * 10**8,
    skew_ms=0.0,
    baseline_m=0.1,
):
    """Write a stereo camera that sees a wall at 8 px; some left images may be damaged."""
    images = dict(zip(('left', 'right'), pair(np.full(SIZE, 8.0, np.float32)), strict=True))
    found = dict(zip(('left', 'right'), calibrations(SIZE[1], SIZE[0], baseline_m=baseline_m), strict=True))
    writer = Writer(path, version=9, storage_plugin=plugin)
    if compress:
        writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for side in ('left', 'right'):
            for topic, kind in ((f'{side}/image_rect', 'Image'), (f'{side}/camera_info', 'CameraInfo')):
                name = f'{namespace}/{topic}'
                connections[topic] = writer.add_connection(name, f'sensor_msgs/msg/{kind}', typestore=STORE)
        for frame in range(frames):
            for side in ('left', 'right'):
                taken = stamp(frame) + round(skew_ms * 1e6) * (side == 'right')
                if infos:
                    data = STORE.serialize_cdr(info(found[side], taken), 'sensor_msgs/msg/CameraInfo')
                    writer.write(connections[f'{side}/camera_info'], recorded(frame) + 7, data)
                data = STORE.serialize_cdr(image(images[side], taken), 'sensor_msgs/msg/Image')
                if side == 'left' and frame in damaged:
                    data = bytes(data)[:40]
                writer.write(connections[f'{side}/image_rect'], recorded(frame) + 8, data)
    return path


def read(path):
    """Return the messages by topic: (recorded, serialized, message)."""
    found = {}
    with AnyReader([path], default_typestore=STORE) as reader:
        for connection, recorded, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((recorded, bytes(data), message))
    return found


class BagWriter:
    """A bag of any messages of sensor_msgs and others, by topic."""

    def __init__(self, path, **how):
        self.writer = Writer(path, version=9, **how)
        self._connections = {}

    def add(self, topic, message, recorded):
        kind = message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self.writer.add_connection(topic, kind, typestore=STORE)
        self.writer.write(self._connections[topic], recorded, STORE.serialize_cdr(message, kind))

    def __enter__(self):
        self.writer.__enter__()
        return self

    def __exit__(self, *error):
        self.writer.__exit__(*error)


def transform(parent, child, stamp, xyz=(0.0, 0.0, 0.0), quaternion=(0.0, 0.0, 0.0, 1.0)):
    """Return a tf2_msgs/TFMessage."""
    head = header(stamp)
    head.frame_id = parent
    pose = make(
        'geometry_msgs/msg/Transform', translation=make('geometry_msgs/msg/Vector3', **dict(zip('xyz', xyz, strict=True))),
        rotation=make('geometry_msgs/msg/Quaternion', **dict(zip('xyzw', quaternion, strict=True))),
    )  # fmt: skip
    each = make('geometry_msgs/msg/TransformStamped', header=head, child_frame_id=child, transform=pose)
    return make('tf2_msgs/msg/TFMessage', transforms=[each])


def cloud_message(points, frame_id, stamp):
    """Return a PointCloud2 of (N, 3) points."""
    head = header(stamp)
    head.frame_id = frame_id
    fields = [
        make('sensor_msgs/msg/PointField', name=name, offset=4 * i, datatype=7, count=1) for i, name in enumerate('xyz')
    ]
    return make(
        'sensor_msgs/msg/PointCloud2', header=head, height=1, width=len(points), fields=fields, is_bigendian=False,
        point_step=12, row_step=12 * len(points), data=points.astype('<f4').reshape(-1).view(np.uint8), is_dense=True,
    )  # fmt: skip


def depth_message(depth, stamp, encoding='32FC1'):
    """Return a depth Image."""
    return make(
        'sensor_msgs/msg/Image', header=header(stamp), height=depth.shape[0], width=depth.shape[1], encoding=encoding,
        is_bigendian=0, step=depth.shape[1] * depth.itemsize, data=depth.reshape(-1).view(np.uint8),
    )  # fmt: skip
