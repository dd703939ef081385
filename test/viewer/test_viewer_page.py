"""The page of the viewer in headless Chromium, with a node on a live graph, and its behaviour towards clients."""

import base64
import io
import re
import threading
import time
from contextlib import contextmanager

import cv2
import msgspec
import numpy as np
import psutil
import pytest
import websockets.sync.client
from browser import chromium_is_here, open_chromium
from domains import free_port
from graph import Graph, MonoGraph, Spinner, wait_for
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from depth_ros.errors import BadImage, BadSettings
from depth_ros.estimators.fake_estimator import FakeEstimator
from depth_ros.ros import node_process
from depth_ros.ros.ros_messages import to_ros
from depth_ros.ros.stereo_node import StereoDepthNode
from depth_ros.tools.depth_viewer import DepthViewer
from depth_ros.viewer.depth_painting import colors, positions, thinned

pytestmark = [pytest.mark.ros, pytest.mark.slow]
WIDTH, HEIGHT = 320, 240
PARAMETERS = {'cloud_stride': 1, 'range_min_m': 0.5}
IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
IMAGE[:, : WIDTH // 2], IMAGE[:, WIDTH // 2 :] = (255, 0, 0), (0, 255, 0)


@pytest.fixture(scope='module')
def browser():
    if not chromium_is_here():
        pytest.skip('chromium and chromium-driver are not installed')
    driver = open_chromium(1200, 900)
    yield driver
    driver.quit()


@contextmanager
def viewed(noise=False, **overrides):
    """Run a camera in front of a wall, half red, half green; a node; the viewer. With noise every image differs."""
    values = {'port': free_port(), **overrides}
    with Graph(PARAMETERS, lambda s, w: FakeEstimator(8.0), listen=(), width=WIDTH, height=HEIGHT) as graph:
        from rclpy.parameter import Parameter

        viewer = DepthViewer(
            context=graph.context, parameter_overrides=[Parameter(name, value=value) for name, value in values.items()]
        )
        spinner = Spinner(graph.context, viewer)
        stop = threading.Event()

        def publish():
            while not stop.is_set():
                rgb = np.random.default_rng().integers(0, 255, IMAGE.shape, np.uint8) if noise else IMAGE
                graph.send(**{side: to_ros.image(rgb, 'rgb8', graph.head()) for side in ('left', 'right')})
                stop.wait(0.1)

        thread = threading.Thread(target=publish, daemon=True)
        thread.start()
        try:
            yield graph, viewer
        finally:
            stop.set()
            thread.join(5)
            spinner.close()
            viewer.stop()
            viewer.destroy_node()


def show(browser, viewer):
    """Open the page and clear the console messages of the previous one."""
    browser.get('about:blank')
    time.sleep(0.2)
    browser.get_log('browser')
    browser.get(viewer.page.url)


def scene(browser):
    """Return the 3-D part of the page, (H, W, 3) RGB."""
    png = np.frombuffer(io.BytesIO(browser.get_screenshot_as_png()).read(), np.uint8)
    return cv2.cvtColor(cv2.imdecode(png, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)[200:, :780].astype(int)


def red_and_green(rgb):
    red = (rgb[..., 0] > 150) & (rgb[..., 1] < 90) & (rgb[..., 2] < 90)
    green = (rgb[..., 1] > 150) & (rgb[..., 0] < 90) & (rgb[..., 2] < 90)
    return red, green


def cloud_is_shown(browser):
    red, green = red_and_green(scene(browser))
    return red.sum() > 2000 and green.sum() > 2000


def text(browser):
    return browser.execute_script('return document.body.innerText')


def test_the_page_shows_cloud_images_plots_and_status_without_console_errors(browser):
    with viewed() as (graph, viewer):
        show(browser, viewer)
        wait_for(lambda: cloud_is_shown(browser), 40, 'no red and green wall')
        red, green = red_and_green(scene(browser))
        assert np.argwhere(red)[:, 1].mean() + 50 < np.argwhere(green)[:, 1].mean()
        wait_for(lambda: 'stereo_depth:' in text(browser) and re.search(r'rate, Hz: \d', text(browser)))
        sizes = browser.execute_script(
            "return ['camera', 'depth'].map(i => document.getElementById(i)).map(e => [e.naturalWidth, e.naturalHeight])"
        )
        assert sizes == [[360, 270], [360, 270]]
        points = "return [...document.querySelectorAll('polyline.plot')].map(e => e.getAttribute('points').split(' ').length)"
        wait_for(lambda: min(browser.execute_script(points)) >= 3)
        assert [entry for entry in browser.get_log('browser') if entry['level'] == 'SEVERE'] == []
        assert graph.node is not None


def test_a_parameter_changed_on_the_page_is_set_or_the_reason_is_shown(browser):
    from selenium.webdriver.common.by import By

    with viewed() as (graph, viewer):
        show(browser, viewer)
        wait_for(lambda: 'parameters: filter' in text(browser))
        header = browser.find_element(By.XPATH, "//*[text()='parameters: filter']")
        browser.execute_script('arguments[0].click()', header)
        find = 'return arguments[0].parentElement.querySelector("input[type=checkbox]")'
        box = wait_for(lambda: browser.execute_script(find, header))
        assert graph.get_parameter('filter.edges').bool_value is False
        browser.execute_script('arguments[0].click()', box)
        wait_for(lambda: graph.get_parameter('filter.edges').bool_value)
        viewer.page._parameters['range_max_m'].value = 0.1
        event = type('Event', (), {'client': object(), 'target': viewer.page._parameters['range_max_m']})
        for callback in viewer.page._parameters['range_max_m']._impl.update_cb:
            callback(event)
        wait_for(lambda: 'range_max_m remains 40' in text(browser))
        wait_for(lambda: viewer.page._parameters['range_max_m'].value == 40.0)


def test_the_page_works_again_after_the_node_was_restarted(browser):
    with viewed() as (graph, viewer):
        show(browser, viewer)
        wait_for(lambda: cloud_is_shown(browser), 40)
        graph._spinners[1].close()
        graph.node.stop()
        graph.node.destroy_node()
        wait_for(lambda: 'no diagnostics of stereo_depth for 3 s' in text(browser))
        graph.node = StereoDepthNode(lambda s, w: FakeEstimator(16.0), context=graph.context)
        node_process.start(graph.node)
        graph._spinners[1] = Spinner(graph.context, graph.node)
        wait_for(lambda: 'stereo_depth:' in text(browser))
        assert [entry for entry in browser.get_log('browser') if entry['level'] == 'SEVERE'] == []


def connect(viewer):
    import viser

    address = viewer.page.url.replace('http', 'ws')
    client = websockets.sync.client.connect(address, subprotocols=[f'viser-v{viser.__version__}'], max_size=None)
    camera = {
        'type': 'ViewerCameraMessage', 'wxyz': (1, 0, 0, 0), 'position': (0, 0, 0), 'fov': 1.0, 'near': 0.1, 'far': 100.0,
        'image_height': 480, 'image_width': 640, 'look_at': (0, 0, 1), 'up_direction': (0, -1, 0),
    }  # fmt: skip
    client.send(msgspec.msgpack.encode(camera))  # as the page does; only then the client counts as a browser
    return client


def test_ten_clients_and_one_that_stops_reading():
    with viewed(noise=True, max_mb_s=5.0) as (graph, viewer):
        stalled = connect(viewer)
        clients = [connect(viewer) for _ in range(10)]
        wait_for(lambda: viewer.page.browsers == 11)
        received = [0] * len(clients)
        stop = threading.Event()

        def drain(i):
            while not stop.is_set():
                try:
                    received[i] += len(clients[i].recv(timeout=0.2))
                except TimeoutError:
                    continue

        threads = [threading.Thread(target=drain, args=(i,), daemon=True) for i in range(len(clients))]
        for thread in threads:
            thread.start()
        wait_for(lambda: min(received) > 500_000, what=lambda: f'{received}')  # of all, beside the one that stopped
        before, memory, started_s = list(received), psutil.Process().memory_info().rss, time.monotonic()
        time.sleep(3)
        wait_for(lambda: min(np.subtract(received, before)) > 10_000, what=lambda: f'{before} {received}')
        rate = np.subtract(received, before).sum() / (time.monotonic() - started_s)
        growth = psutil.Process().memory_info().rss - memory
        stop.set()
        for thread in threads:
            thread.join(2)
        assert rate < 15e6  # 5 MB/s of points, and the images
        assert growth < 50e6
        for client in (*clients, stalled):
            client.close_socket()
        wait_for(lambda: viewer.page.browsers == 0)
        wait_for(lambda: not viewer._topic_subscriptions)
        wait_for(lambda: not graph.node._outputs.has_subscribers())


def test_there_is_no_subscription_without_a_browser():
    with viewed() as (graph, viewer):
        time.sleep(1)
        assert graph.probe.count_subscribers('/points') == 0
        client = connect(viewer)
        wait_for(lambda: graph.probe.count_subscribers('/points') == 1)
        client.close()
        wait_for(lambda: graph.probe.count_subscribers('/points') == 0)


def test_invalid_messages_are_reported_and_the_viewer_continues():
    with viewed() as (_, viewer):
        reported = []
        viewer.page.show_status = lambda level, message: reported.append(message)
        head = to_ros.header(0, 'x')
        viewer._newest.update(
            {
                'points': serialized(PointCloud2(header=head, width=5, height=1)),
                'depth/image_rect': serialized(Image(header=head, encoding='rgb8')),
                'depth/camera_info': serialized(CameraInfo(header=head)),
            }
        )
        for message in ('points: the cloud has the fields', 'expected 32FC1 or 16UC1', 'uncalibrated'):
            wait_for(lambda message=message: any(message in text for text in reported), what=message)
        assert viewer._thread.is_alive()


def test_relative_depth_is_shown_in_place_of_the_depth_image_and_raw_values_are_reported():
    with viewed() as (_, viewer):
        viewer._stopping.set()  # only the messages of this test are shown
        viewer._thread.join(5)
        nearness = np.tile(np.linspace(0, 1, WIDTH, dtype=np.float32), (HEIGHT, 1))
        nearness[:20] = np.nan
        viewer._show_one('depth/relative', to_ros.image(nearness, '32FC1', to_ros.header(0, 'x')))
        jpeg = base64.b64decode(re.search(r'base64,([^"]*)', viewer.page._images['depth'])[1])
        shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(int)
        assert shown[:15].max() < 40 and shown[150, 40, 0] > shown[150, 40, 2] + 20
        assert shown[150, -40, 2] > shown[150, -40, 0] + 50  # near is red
        with pytest.raises(BadImage, match='values from 0 to 5; expected 0 to 1. Set relative_scaling'):
            viewer._show_one('depth/relative', to_ros.image(5 * nearness, '32FC1', to_ros.header(0, 'x')))


def test_keyframes_of_a_moving_camera_are_shown_at_their_positions():
    poses = [np.eye(4), np.eye(4)]
    poses[1][:3, 3] = (-0.5, 0.25, 1.0)
    with viewed() as (_, viewer):
        for count in (0, 2):
            viewer._show_one('keyframes', to_ros.pose_array(poses[:count], to_ros.header(0, 'x')))
            shown = viewer.page._keyframes.points
            np.testing.assert_allclose(
                shown, np.array([pose[:3, 3] for pose in poses[:count]]).reshape(-1, 3), atol=1e-3
            )


def test_raw_relative_values_within_0_and_1_are_recognised_by_the_parameter_of_the_node():
    values = to_ros.image(np.full((HEIGHT, WIDTH), 0.5, np.float32), '32FC1', to_ros.header(0, 'x'))
    with MonoGraph({'model': 'x', 'relative_scaling': 'none'}, lambda s, w: FakeEstimator(), listen=()) as graph:
        viewer = DepthViewer(context=graph.context)
        viewer._stopping.set()  # only the messages of this test are shown
        spinner = Spinner(graph.context, viewer)

        def is_shown():
            try:
                viewer._show_one('depth/relative', values)
            except BadImage as error:
                assert 'relative_scaling is none' in str(error)
                return False
            return True

        try:
            wait_for(lambda: not is_shown())
            assert graph.set_parameters('mono_depth', relative_scaling='robust').successful
            wait_for(is_shown)
        finally:
            spinner.close()
            viewer.stop()
            viewer.destroy_node()


def serialized(message):
    from rclpy.serialization import serialize_message

    return serialize_message(message)


def test_wrong_parameters_are_refused():
    with Graph(node=False, listen=()) as graph:
        from rclpy.parameter import Parameter

        with pytest.raises(BadSettings, match='rate_hz is 0'):
            DepthViewer(context=graph.context, parameter_overrides=[Parameter('rate_hz', value=0.0)])


def test_points_are_thinned_evenly_and_coloured():
    kind = [(name, 'f4') for name in ('x', 'y', 'z', 'rgb')]
    points = np.zeros(1000, kind)
    points['x'], points['z'] = np.arange(1000), np.linspace(1, 5, 1000)
    points['z'][::10] = np.nan
    points['rgb'] = np.full(1000, 0x00102030, np.uint32).view(np.float32)
    some = thinned(points, 100)
    assert 50 < some.size <= 100 and np.isfinite(some['z']).all() and np.ptp(some['x']) > 900
    assert positions(some).shape == (some.size, 3) and positions(some).dtype == np.float32
    assert (colors(some, 'image') == (0x10, 0x20, 0x30)).all()
    by_distance = colors(some, 'distance').astype(int)
    assert by_distance[0, 0] > 100 > by_distance[-1, 0] or by_distance[0, 2] < by_distance[-1, 2] + 200
    assert (colors(some[['x', 'y', 'z']], 'image') == 180).all()
    assert thinned(points[:0], 5).size == 0 and colors(points[:0], 'height').shape == (0, 3)
