"""The ``depth_viewer`` node: shows one depth node on a page in the browser."""

import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseArray
from rcl_interfaces.msg import ParameterEvent
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import qos_profile_parameter_events
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from depth_ros.errors import BadImage, BadInput, BadSettings
from depth_ros.messages.read_messages import calibration, depth_m, image_pixels
from depth_ros.ros import node_process
from depth_ros.ros.adopting_subscription import AdoptingSubscription
from depth_ros.ros.node_parameters import number_parameter, refuse_unknown_parameters
from depth_ros.ros.ros_messages import read_points
from depth_ros.settings.node_settings import MonoSettings, MultiviewSettings, StereoSettings
from depth_ros.settings.parameter_table import Rule, Value, rules
from depth_ros.stages.intrinsics import rectified_camera
from depth_ros.types import Float32Array

_TOPICS: dict[str, type] = {
    'points': PointCloud2,
    'depth/image_rect': Image,
    'depth/camera_info': CameraInfo,
    'depth/relative': Image,
    'left/image_rect': Image,
    'image': Image,
    'keyframes': PoseArray,
}
_SILENT_S, _NICENESS = 3.0, 10
_LEVELS = {0: 'ok', 1: 'warning'}


class DepthViewer(Node):
    """Serves a page about the depth node in its namespace; subscribes only while a browser shows the page.

    Parameters: ``host`` (127.0.0.1: this machine only), ``port``, ``rate_hz``, ``max_points``, ``max_mb_s``.

    Raises:
        BadFile: viser is not installed.
        BadSettings: a parameter is unknown, not a number, or not positive.
    """

    def __init__(self, **node_options: Any) -> None:
        from depth_ros.viewer.viewer_page import (
            ViewerPage,  # imported here so that a missing viser is reported in one line, without traceback
        )

        super().__init__('depth_viewer', **node_options)
        host = str(self.declare_parameter('host', '127.0.0.1').value)
        numbers = {
            name: number_parameter(self, name, default)
            for name, default in (('port', 8080), ('rate_hz', 10.0), ('max_points', 100_000), ('max_mb_s', 25.0))
        }
        refuse_unknown_parameters(self)
        if min(numbers.values()) <= 0:
            raise BadSettings(f'{", ".join(f"{n} is {v:g}" for n, v in numbers.items())}; expected all above 0')
        rate_hz, max_points = numbers['rate_hz'], int(numbers['max_points'])
        self.page = ViewerPage(host, int(numbers['port']), rate_hz, max_points, numbers['max_mb_s'])
        self._period_s = 1 / rate_hz
        self._topic_subscriptions: dict[str, AdoptingSubscription] = {}
        self._newest: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._shown_node = ''
        self._diagnostics_s = 0.0
        self._parameter_clients: list[Any] = []
        self._parameter_values: dict[str, Any] = {}
        """Parameters of the shown node."""
        self._stopping = threading.Event()
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self.create_subscription(
            ParameterEvent, '/parameter_events', self._on_parameter_event, qos_profile_parameter_events
        )
        self.create_timer(0.2, self._update_subscriptions)
        self._thread = threading.Thread(target=self._show, name='page', daemon=True)
        self._thread.start()
        self.get_logger().info(f'open {self.page.url} in a browser')

    def stop(self) -> bool:
        """Stop serving the page."""
        self._stopping.set()
        self._thread.join(2)
        self.page.close()
        return not self._thread.is_alive()

    def _update_subscriptions(self) -> None:
        """Subscribe while a browser shows the page; unsubscribe otherwise."""
        if self.page.browsers and not self._topic_subscriptions:
            for topic, kind in _TOPICS.items():
                self._topic_subscriptions[topic] = AdoptingSubscription(
                    self, kind, topic, self._store_newest(topic), raw=True
                )
        elif not self.page.browsers:
            for subscription in self._topic_subscriptions.values():
                subscription.close()
            self._topic_subscriptions.clear()
        for subscription in self._topic_subscriptions.values():
            subscription.refresh()
        if self._shown_node and time.monotonic() - self._diagnostics_s > _SILENT_S:
            self.page.show_status(
                'error', f'no diagnostics of {self._shown_node} for {_SILENT_S:g} s. Check that the node is running'
            )
            self._shown_node = ''

    def _store_newest(self, topic: str) -> Callable[[bytes], None]:
        def store(data: bytes) -> None:
            with self._lock:
                self._newest[topic] = data

        return store

    # On the thread of the page: shows the newest message of each topic at rate_hz.

    def _show(self) -> None:
        due_s = time.monotonic()
        while not self._stopping.wait(max(0.0, due_s - time.monotonic())):
            due_s = max(due_s + self._period_s, time.monotonic())
            with self._lock:
                newest, self._newest = self._newest, {}
            for topic, data in newest.items():
                try:
                    self._show_one(topic, deserialize_message(data, _TOPICS[topic]))
                except BadInput as error:
                    self.page.show_status('warning', f'{topic}: {error}')
                except Exception as error:  # such as a browser that disconnects; the next message is shown again
                    self.get_logger().warning(f'{topic} is not shown: {error}', throttle_duration_sec=10.0)

    def _show_one(self, topic: str, message: Any) -> None:
        if topic == 'points':
            colored = any(field.name == 'rgb' for field in message.fields)
            self.page.show_cloud(read_points(message, ('x', 'y', 'z', 'rgb') if colored else ('x', 'y', 'z')))
        elif topic == 'depth/image_rect':
            self.page.show_depth(depth_m(message))
        elif topic == 'depth/relative':
            if self._parameter_values.get('relative_scaling') == 'none':
                raise BadImage(
                    'relative_scaling is none, so that the values have the direction and the scale of the network; set '
                    'it to robust to see them here'
                )
            self.page.show_nearness(_nearness(message))
        elif topic == 'depth/camera_info':
            self.page.show_camera(rectified_camera(calibration(message), message.width, message.height))
        elif topic == 'keyframes':
            positions = [(pose.position.x, pose.position.y, pose.position.z) for pose in message.poses]
            self.page.show_keyframes(np.array(positions, np.float32).reshape(-1, 3))
        else:
            self.page.show_image(image_pixels(message))

    # On the thread of the executor: diagnostics and parameters of the node.

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        prefix = self.get_namespace().strip('/')
        for status in message.status:
            name = status.hardware_id
            if name.rpartition('/')[0] != prefix or status.name != f'{name}: frames':
                continue
            values = {pair.key: pair.value for pair in status.values}
            self._diagnostics_s = time.monotonic()
            level = int.from_bytes(status.level, 'little')
            self.page.show_status(_LEVELS.get(level, 'error'), f'{name}: {status.message}')
            self.page.show_figures(float(values.get('age_p50_ms', 'nan')), float(values.get('rate_hz', 'nan')))
            if name != self._shown_node:
                self._shown_node = name
                self._request_parameters()

    def _request_parameters(self) -> None:
        for client in self._parameter_clients:
            self.destroy_client(client)
        getter = self.create_client(GetParameters, f'/{self._shown_node}/get_parameters')
        setter = self.create_client(SetParameters, f'/{self._shown_node}/set_parameters')
        self._parameter_clients = [getter, setter]
        for kind in (
            StereoSettings,
            MonoSettings,
            MultiviewSettings,
        ):  # a node of any name; only the request for its own kind has values
            shown = {name: rule for name, rule in rules(kind).items() if not rule.read_only}
            future = getter.call_async(GetParameters.Request(names=list(shown)))
            future.add_done_callback(partial(self._show_parameters, shown, setter))

    def _show_parameters(self, shown: dict[str, Rule], setter: Any, future: Any) -> None:
        response = future.result()
        if not response.values:
            return
        values = {name: parameter_value_to_python(v) for name, v in zip(shown, response.values, strict=True)}
        self._parameter_values = values

        def change(name: str, value: Value) -> None:
            if isinstance(values[name], float):
                value = float(value)
            request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
            setter.call_async(request).add_done_callback(lambda done: on_result(name, value, done.result().results[0]))

        def on_result(name: str, value: Value, result: Any) -> None:
            if result.successful:
                values[name] = value
            else:
                self.page.notify(f'{name} remains {values[name]}: {result.reason}')
                self.page.show_value(name, values[name])

        self.page.show_parameters(shown, values, change)

    def _on_parameter_event(self, event: ParameterEvent) -> None:
        """Show parameters that another program has changed."""
        if event.node.lstrip('/') != self._shown_node:
            return
        for parameter in event.changed_parameters:
            if parameter.name in self._parameter_values:
                value = parameter_value_to_python(parameter.value)
                self._parameter_values[parameter.name] = value
                self.page.show_value(parameter.name, value)


def _nearness(message: Any) -> Float32Array:
    """Return the pixels of depth/relative.

    Raises:
        BadImage: a value is outside 0 to 1.
    """
    values = depth_m(message)
    known = values[~np.isnan(values)]
    if known.size and not 0 <= known.min() <= known.max() <= 1:
        raise BadImage(
            f'values from {known.min():g} to {known.max():g}; expected 0 to 1. Set relative_scaling of the node to '
            'robust'
        )
    return values


def run(**node_options: Any) -> int:
    """Serve the page until SIGINT, at low priority so that the viewer does not slow down the node."""
    os.nice(_NICENESS)
    cv2.setNumThreads(1)
    return node_process.run(lambda: DepthViewer(**node_options), None if not node_options else [])


def main() -> int:
    """Entry point of the executable ``depth_viewer``."""
    node_process.catch_signals()
    return run()


if __name__ == '__main__':
    sys.exit(main())
