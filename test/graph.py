"""A live ROS 2 graph for one test, with its own domain and context and real DDS: the node under test and a probe."""

import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from domains import isolate, isolated_environment, next_domain, release_domain
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from scenes import calibrations
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.messages import read_messages
from depth_ros.ros import node_process
from depth_ros.ros.mono_node import MonoDepthNode
from depth_ros.ros.outputs import TOPICS
from depth_ros.ros.ros_messages import to_ros
from depth_ros.ros.stereo_node import StereoDepthNode

NOW = -1
PLAIN_TOPICS = tuple(topic for topic in TOPICS if topic not in ('points_clear', 'scan', 'scale', 'keyframes'))
STEREO_TOPICS = tuple(topic for topic in PLAIN_TOPICS if topic != 'depth/relative')
MONO_TOPICS = tuple(topic for topic in PLAIN_TOPICS if topic != 'disparity')


class Spinner:
    """Nodes that spin on a separate thread."""

    def __init__(self, context, *nodes):
        self.executor = SingleThreadedExecutor(context=context)
        for node in nodes:
            self.executor.add_node(node)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            try:
                self.executor.spin_once(timeout_sec=0.05)
            except (RuntimeError, SystemError) as error:  # rclpy raises if the client of a service has just left
                if 'send_response' not in str(error) and 'send response' not in str(error):
                    raise

    def do(self, function):
        """Call a function on the spinning thread: rclpy of Jazzy crashes if entities are destroyed on another one."""
        wait_for(self.executor.create_task(function).done)

    def close(self):
        self._stop.set()
        self._thread.join(5)
        self.executor.shutdown(timeout_sec=1)


def wait_for(condition, timeout_s=60.0, what='the condition did not become true in time'):
    """Return the first true result of a condition; the limit is for a busy machine and decides no test."""
    end = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.01)


class Graph:
    """A camera and a listener (the probe), and a ``stereo_depth`` node in this process or in another one."""

    node_kind = StereoDepthNode
    inputs = tuple((f'{side}/image_rect', f'{side}/camera_info') for side in ('left', 'right'))

    def __init__(
        self,
        parameters=None,
        make_estimator=None,
        listen=STEREO_TOPICS,
        namespace='',
        node=True,
        reliability='reliable',
        width=64,
        height=48,
        **node_options,
    ):
        self.domain = next_domain()
        self.context = rclpy.Context()
        isolate(self.domain)
        rclpy.init(context=self.context, domain_id=self.domain)
        self.probe = rclpy.create_node('probe', context=self.context, namespace=namespace)
        self.received = defaultdict(list)
        self.arrived_s = defaultdict(list)
        self.width, self.height = width, height
        self.infos = dict(zip(('left', 'right'), calibrations(width, height), strict=True))
        self._publishers = {}
        self._subscriptions = {}
        self.reliability = QoSReliabilityPolicy[reliability.upper()]
        self.probe.create_subscription(DiagnosticArray, '/diagnostics', self._keep('/diagnostics'), 10)
        for topic in listen:
            self.listen(topic)
        self.node = None
        self._spinners = [Spinner(self.context, self.probe)]
        if node:
            overrides = [Parameter(name, value=value) for name, value in (parameters or {}).items()]
            self.node = self.node_kind(
                make_estimator or (lambda settings, watch: FakeEstimator()),
                context=self.context,
                parameter_overrides=overrides,
                namespace=namespace,
                **node_options,
            )
            node_process.start(self.node)
            self._spinners.append(Spinner(self.context, self.node))

    def listen(self, topic):
        subscription = self.probe.create_subscription(TOPICS[topic], topic, self._keep(topic), QoSProfile(depth=20))
        self._subscriptions[topic] = subscription

    def _keep(self, topic):
        def keep(message):
            self.received[topic].append(message)
            self.arrived_s[topic].append(time.monotonic())

        return keep

    def close_camera(self):
        """Destroy all publishers of the camera."""
        self._spinners[0].do(lambda: [self.probe.destroy_publisher(p) for p in self._publishers.values()])
        self._publishers.clear()

    def publisher(self, kind, topic, durability=QoSDurabilityPolicy.VOLATILE):
        key = (topic, self.reliability, durability)
        if key not in self._publishers:
            qos = QoSProfile(depth=10, reliability=self.reliability, durability=durability)
            self._publishers[key] = self.probe.create_publisher(kind, topic, qos)
        return self._publishers[key]

    def open_camera(self, compressed=False):
        """Create the camera's publishers and wait until the node has subscribed."""
        suffix, kind = ('/compressed', CompressedImage) if compressed else ('', Image)
        publishers = []
        for image_topic, info_topic in self.inputs:
            publishers += [self.publisher(kind, f'{image_topic}{suffix}'), self.publisher(CameraInfo, info_topic)]
        wait_for(
            lambda: all(map(self.is_subscribed, publishers)),
            what='the node did not subscribe with the reliability of the publishers',
        )
        wait_for(lambda: all(self.probe.count_publishers(t) for t in self._subscriptions), what='no outputs')
        if self.node is not None:  # the node must also have discovered the subscribers
            expected = bool(self._subscriptions)
            wait_for(lambda: self.node._outputs is None or self.node._outputs.has_subscribers() == expected)

    def is_subscribed(self, publisher):
        """Return whether the node has subscribed with the reliability of the publisher.

        A node first subscribes with best effort and again when it knows the publisher: a message that is published
        between these does not arrive.
        """
        infos = self.probe.get_subscriptions_info_by_topic(publisher.topic_name)
        adopted = [info.qos_profile.reliability == self.reliability for info in infos]
        return publisher.get_subscription_count() > 0 and bool(adopted) and all(adopted)

    def head(self, stamp_ns=NOW, frame_id='left_camera_optical_frame'):
        now = self.probe.get_clock().now().nanoseconds
        return to_ros.header(now if stamp_ns == NOW else stamp_ns, frame_id)

    def image(self, head, pixels=None, encoding='mono8'):
        if pixels is None:
            pixels = np.zeros((self.height, self.width), np.uint8)
        return to_ros.image(pixels, encoding, head)

    def send(self, stamp_ns=NOW, left=None, right=None, infos=True, skew_ns=0, **changes):
        """Publish one pair; ``left`` and ``right`` may be messages, ``changes`` are fields of both CameraInfos."""
        head = self.head(stamp_ns)
        right_head = to_ros.header(read_messages.stamp_ns(head.stamp) + skew_ns, head.frame_id) if skew_ns else head
        for side, message, stamp in (('left', left, head), ('right', right, right_head)):
            if infos:
                info = to_ros.calibration(self.infos[side], stamp)
                for name, value in changes.items():
                    setattr(info, name, value)
                self.publisher(CameraInfo, f'{side}/camera_info').publish(info)
            if message is None:
                message = self.image(stamp)
            else:
                message.header = stamp
            suffix = '/compressed' if isinstance(message, CompressedImage) else ''
            self.publisher(type(message), f'{side}/image_rect{suffix}').publish(message)
        return read_messages.stamp_ns(head.stamp)

    def send_until(self, condition, **how):
        """Publish frames until a condition is true; return its result.

        A node in another process may not have discovered its subscribers when it gets the first frames.
        """

        def sent():
            self.send(**how)
            time.sleep(0.05)
            return condition()

        return wait_for(sent, what=lambda: f'{self.received["/diagnostics"][-1:]}')

    def stream(self, count, rate_hz=30.0, **how):
        """Publish pairs at a rate; return their stamps."""
        stamps = []
        start = time.monotonic()
        for i in range(count):
            stamps.append(self.send(**how))
            time.sleep(max(0.0, start + (i + 1) / rate_hz - time.monotonic()))
        return stamps

    def wait_for_messages(self, topic, count=1, timeout_s=60.0):
        wait_for(
            lambda: len(self.received[topic]) >= count, timeout_s, f'{len(self.received[topic])} of {count} on {topic}'
        )
        return self.received[topic]

    def status(self):
        """Return level, text and values of the newest diagnostics."""
        status = self.received['/diagnostics'][-1].status[0]
        return status.level, status.message, {pair.key: pair.value for pair in status.values}

    def wait_for_status(self, words, timeout_s=60.0):
        """Wait until the text of the diagnostics contains ``words``; return level, text and values."""

        def reported():
            return self.received['/diagnostics'] and words in self.status()[1]

        wait_for(
            reported,
            timeout_s,
            lambda: f"'{words}' not in diagnostics: {self.received['/diagnostics'] and self.status()}",
        )
        return self.status()

    def wait_until_settled(self):
        """Wait until no frame is in flight; return the counters."""
        wait_for(lambda: self.node.accounting.counts().in_flight == 0, what=f'{self.node.accounting.counts()}')
        return self.node.accounting.counts()

    def call(self, kind, service, request, timeout_s=60.0):
        client = self.probe.create_client(kind, service)
        assert client.wait_for_service(timeout_s)
        future = client.call_async(request)
        wait_for(future.done, timeout_s, f'{service} did not answer')
        self.probe.destroy_client(client)
        return future.result()

    def set_parameters(self, name='stereo_depth', **values):
        request = SetParametersAtomically.Request(
            parameters=[Parameter(key, value=value).to_parameter_msg() for key, value in values.items()]
        )
        return self.call(SetParametersAtomically, f'{name}/set_parameters_atomically', request).result

    def get_parameter(self, key, name='stereo_depth'):
        return self.call(GetParameters, f'{name}/get_parameters', GetParameters.Request(names=[key])).values[0]

    def change_state(self, transition, name='stereo_depth'):
        number = getattr(Transition, f'TRANSITION_{transition.upper()}')
        request = ChangeState.Request(transition=Transition(id=number))
        return self.call(ChangeState, f'{name}/change_state', request).success

    def lifecycle_state(self, name='stereo_depth'):
        return self.call(GetState, f'{name}/get_state', GetState.Request()).current_state.label

    def close(self):
        for spinner in reversed(self._spinners):
            spinner.close()
        if self.node is not None:
            self.node.stop()
            self.node.destroy_node()
        self.probe.destroy_node()
        self.context.try_shutdown()
        release_domain(self.domain)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class MonoGraph(Graph):
    """The same with a ``mono_depth`` node."""

    node_kind = MonoDepthNode
    inputs = (('image', 'camera_info'),)

    def __init__(self, parameters=None, make_estimator=None, listen=MONO_TOPICS, **options):
        super().__init__(parameters, make_estimator, listen, **options)

    def send(self, stamp_ns=NOW, image=None, info=True, **changes):
        """Publish one image; ``changes`` are fields of its CameraInfo."""
        head = self.head(stamp_ns)
        if info:
            message = to_ros.calibration(self.infos['left'], head)
            for name, value in changes.items():
                setattr(message, name, value)
            self.publisher(CameraInfo, 'camera_info').publish(message)
        image = image or self.image(head)
        image.header = head
        self.publisher(Image, 'image').publish(image)
        return read_messages.stamp_ns(head.stamp)


class NodeProcess:
    """The real executable in a separate process."""

    def __init__(self, domain, *arguments, module='depth_ros.ros.stereo_depth', script=None):
        command = [sys.executable, script] if script else [sys.executable, '-m', module]
        self.popen = subprocess.Popen(
            [*command, *arguments],
            env=isolated_environment(domain),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def signal(self, number=signal.SIGINT):
        self.popen.send_signal(number)

    def end(self, timeout_s=30.0):
        """Wait for the process to end; return exit code, output and seconds waited."""
        started = time.monotonic()
        output, _ = self.popen.communicate(timeout=timeout_s)
        return self.popen.returncode, output, time.monotonic() - started

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.kill()
        self.popen.communicate()
