"""Recordings for tests, written and read by rosbags."""

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scenes import calibrations, pair

from depth_ros.evaluation.datasets.bag_and_simulator import simulated_dataset
from depth_ros.messages.message_builder import MessageBuilder

STORE = get_typestore(Stores.ROS2_HUMBLE)
SIZE = (64, 96)
FRAME = 'left_camera_optical_frame'


def make(name, /, **values):
    """Return a message of rosbags: lists of floats as arrays, ``data`` of arrays as bytes."""
    for key, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], float):
            values[key] = np.array(value)
        elif key == 'data' and isinstance(value, np.ndarray):
            values[key] = value.reshape(-1).view(np.uint8)
    return STORE.types[name](**values)


BUILDER = MessageBuilder(make)


def image(pixels, stamp, encoding='mono8'):
    """Return an Image of (H, W) pixels."""
    return BUILDER.image(pixels, encoding, BUILDER.header(stamp, FRAME))


def info(calibration, stamp):
    """Return a CameraInfo."""
    return BUILDER.calibration(calibration, BUILDER.header(stamp, FRAME))


def depth_message(depth, stamp, encoding='32FC1'):
    """Return a depth Image."""
    return image(depth, stamp, encoding)


def cloud_message(points, frame_id, stamp):
    """Return a PointCloud2 of (N, 3) points."""
    header = BUILDER.header(stamp, frame_id)
    return BUILDER.point_cloud_of(points.astype('<f4'), points.shape, header, dense=True)


def transform(parent, child, stamp, xyz=(0.0, 0.0, 0.0), quaternion=(0.0, 0.0, 0.0, 1.0)):
    """Return a tf2_msgs/TFMessage."""
    pose = make(
        'geometry_msgs/msg/Transform', translation=make('geometry_msgs/msg/Vector3', **dict(zip('xyz', xyz, strict=True))),
        rotation=make('geometry_msgs/msg/Quaternion', **dict(zip('xyzw', quaternion, strict=True))),
    )  # fmt: skip
    header = BUILDER.header(stamp, parent)
    stamped = make('geometry_msgs/msg/TransformStamped', header=header, child_frame_id=child, transform=pose)
    return make('tf2_msgs/msg/TFMessage', transforms=[stamped])


class BagWriter:
    """Writes messages of any type in the typestore, by topic."""

    def __init__(self, path, **options):
        self.writer = Writer(path, version=9, **options)
        self._connections = {}

    def connect(self, topic, kind):
        """Declare a topic; without messages it is in the bag too."""
        self._connections[topic] = self.writer.add_connection(topic, kind, typestore=STORE)

    def add(self, topic, message, recorded):
        kind = message.__msgtype__
        if topic not in self._connections:
            self.connect(topic, kind)
        self.write(topic, STORE.serialize_cdr(message, kind), recorded)

    def write(self, topic, data, recorded):
        """Write a serialized message of a declared topic."""
        self.writer.write(self._connections[topic], recorded, data)

    def __enter__(self):
        self.writer.__enter__()
        return self

    def __exit__(self, *error):
        self.writer.__exit__(*error)


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
    """Write a stereo recording of a wall with 8 px disparity; left images of ``damaged`` frames are truncated."""
    images = dict(zip(('left', 'right'), pair(np.full(SIZE, 8.0, np.float32)), strict=True))
    pair_infos = dict(zip(('left', 'right'), calibrations(SIZE[1], SIZE[0], baseline_m=baseline_m), strict=True))
    bag = BagWriter(path, storage_plugin=plugin)
    if compress:
        bag.writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with bag:
        for side in images:
            for topic, kind in (('image_rect', 'Image'), ('camera_info', 'CameraInfo')):
                bag.connect(f'{namespace}/{side}/{topic}', f'sensor_msgs/msg/{kind}')
        for frame in range(frames):
            for side, pixels in images.items():
                taken = stamp(frame) + round(skew_ms * 1e6) * (side == 'right')
                if infos:
                    bag.add(f'{namespace}/{side}/camera_info', info(pair_infos[side], taken), recorded(frame) + 7)
                message = image(pixels, taken)
                data = STORE.serialize_cdr(message, message.__msgtype__)
                if side == 'left' and frame in damaged:
                    data = bytes(data)[:40]
                bag.write(f'{namespace}/{side}/image_rect', data, recorded(frame) + 8)
    return path


def simulated_drive(path, frames):
    """Write a simulated stereo drive with true depth."""
    with BagWriter(path) as bag:
        for i, (_, load) in enumerate(simulated_dataset('sim:2:300').entries[:frames]):
            sample, stamp = load(), 10**9 + i * 10**8
            for side, pixels, calibration in (
                ('left', sample.image, sample.calibration), ('right', sample.right, sample.right_calibration),
            ):  # fmt: skip
                bag.add(f'/{side}/camera_info', info(calibration, stamp), stamp)
                bag.add(f'/{side}/image_rect', image(pixels.mean(axis=2).astype(np.uint8), stamp), stamp)
            bag.add('/truth/depth', depth_message(sample.truth_m, stamp), stamp)
    return path


def read(path):
    """Return the messages by topic: (recorded, serialized, message)."""
    messages = {}
    with AnyReader([path], default_typestore=STORE) as reader:
        for connection, recorded, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            messages.setdefault(connection.topic, []).append((recorded, bytes(data), message))
    return messages
