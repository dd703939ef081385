"""`depth-ros doctor` on graphs with one fault each: the finding and the exit code."""

import json
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import rclpy
from graph import Graph
from rosgraph_msgs.msg import Clock
from scenes import bent, pair
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tiny_model import model

from depth_ros.cli.main import main
from depth_ros.doctor.transport_checks import transport_findings
from depth_ros.files.installed_files import fastdds_profile
from depth_ros.ros.ros_messages import to_ros

pytestmark = [pytest.mark.ros, pytest.mark.slow]
WIDTH, HEIGHT = 160, 120
SIMULATOR_MODEL = ['-p', 'model:=sim-indoor', '-p', 'allow_simulator_model:=true']
LEFT, RIGHT = pair(np.full((HEIGHT, WIDTH), 8.0, np.float32))


@contextmanager
def camera(prefix='', rate_hz=20.0, reliability='reliable', **how):
    """Run a stereo camera; ``how`` introduces a fault, see ``send``."""
    with Graph(node=False, listen=(), width=WIDTH, height=HEIGHT, reliability=reliability) as graph:
        stop = threading.Event()

        def publish():
            while not stop.is_set():
                send(graph, prefix, **how)
                stop.wait(1 / rate_hz)

        thread = threading.Thread(target=publish, daemon=True)
        thread.start()
        try:
            yield graph
        finally:
            stop.set()
            thread.join(5)


def send(
    graph,
    prefix,
    images=(LEFT, RIGHT),
    infos=True,
    skew_ns=0,
    age_s=0.0,
    stamp=None,
    encoding='mono8',
    kind=Image,
    info=lambda side, message: message,
    silent=False,
):
    now = graph.probe.get_clock().now().nanoseconds - round(age_s * 1e9) if stamp is None else stamp
    for side, pixels in zip(('left', 'right'), images, strict=True):
        head = to_ros.header(now + (skew_ns if side == 'right' else 0), 'left_camera_optical_frame')
        image = graph.image(head, pixels, encoding) if kind is Image else CompressedImage(header=head, format='png')
        calibration = to_ros.calibration(graph.infos[side], head)
        image_publisher = graph.publisher(kind, f'{prefix}{side}/image_rect')
        info_publisher = graph.publisher(CameraInfo, f'{prefix}{side}/camera_info')
        if silent:
            continue
        if infos:
            info_publisher.publish(info(side, calibration))
        image_publisher.publish(image)


def doctor(capsys, *arguments, seconds=0.8):
    """Return exit code, findings that are not ok by check, and all findings."""
    code = main(['doctor', '--json', '--seconds', str(seconds), *map(str, arguments)])
    report = json.loads(capsys.readouterr().out)
    assert report['works'] == (code == 0)
    return code, {f['check']: f for f in report['findings'] if f['level'] != 'ok'}, report['findings']


def zeroed(side, message):
    message.k = [0.0] * 9
    message.p = [0.0] * 12
    return message


def without_baseline(side, message):
    message.p[3] = 0.0
    return message


def of_the_other_side(side, message):
    message.p[3] = -30.0 if side == 'left' else 0.0
    return message


def of_another_size(side, message):
    message.width, message.height = 2 * WIDTH, 2 * HEIGHT
    return message


def distorted(side, message):
    message.d = [-0.2, 0.1, 0.0, 0.0, 0.0]
    return message


def test_a_good_camera_has_no_fault(capsys):
    with camera():
        code, bad, everything = doctor(capsys, '-p', 'range_min_m:=2.0')
    assert code == 0 and not bad
    assert {'rate', 'skew', 'camera_info', 'baseline', 'exposure', 'pair', 'rows', 'model', 'transport'} <= {
        f['check'] for f in everything
    }
    assert next(f for f in everything if f['check'] == 'baseline')['what'] == '0.1000 m'


@pytest.mark.parametrize(
    ('fault', 'check', 'message'),
    [
        ({'infos': False}, 'silent', '/right/camera_info'),
        ({'info': zeroed}, 'camera_info', 'uncalibrated'),
        ({'info': without_baseline}, 'baseline', 'Depth in metres is impossible without a baseline'),
        ({'info': of_the_other_side}, 'baseline', 'left and right are swapped'),
        ({'images': (RIGHT, LEFT)}, 'swapped', 'with left and right exchanged'),
        ({'info': of_another_size}, 'camera_info', 'camera_info describes 320x240'),
        ({'skew_ns': 17_000_000}, 'skew', 'stamps are 17.0 ms apart (median); max_skew_ms is 5'),
        ({'stamp': 0}, 'skew', 'images have stamp 0'),
        ({'encoding': '9UC7'}, 'encoding', '9UC7'),
        ({'kind': CompressedImage}, 'type', 'type is sensor_msgs/msg/CompressedImage'),
        ({'prefix': '/stereo_cam/'}, 'topic', 'no publisher'),
        ({'silent': True}, 'silent', 'no message received'),
    ],
)
def test_each_fault_of_a_camera_is_reported(capsys, fault, check, message):
    with camera(**fault):
        code, bad, _ = doctor(capsys)
    assert code == 1 and bad[check]['level'] == 'fault'
    assert message in f'{bad[check]["about"]} {bad[check]["what"]}' and bad[check]['why'] and bad[check]['fix']


@pytest.mark.parametrize(
    ('fault', 'check', 'message'),
    [
        ({'info': distorted}, 'rectified', 'distortion but no rectification'),
        ({'age_s': 3600.0}, 'clock', '3600.'),
        ({'age_s': -30.0}, 'clock', 'ahead of the clock of this machine'),
        ({'images': (LEFT, np.zeros_like(RIGHT))}, 'pair', 'of the pixels match'),
        ({'images': (LEFT, RIGHT // 2)}, 'exposure', 'the right image is 0.50 times as bright as the left image'),
        ({'images': (LEFT, bent(RIGHT, 1.0))}, 'rows', 'off by 1.00 px (shift +1.00 px, roll'),
        ({'rate_hz': 0.7}, 'rate', 'Hz'),
    ],
)
def test_a_problem_that_only_degrades_the_results_is_a_warning(capsys, fault, check, message):
    with camera(**fault):
        code, bad, _ = doctor(capsys, seconds=4.0 if 'rate_hz' in fault else 0.8)
    assert code == 0 and bad[check]['level'] == 'warning' and message in bad[check]['what']


def test_rows_that_are_corrected_are_no_problem_and_neither_are_those_that_cannot_be_measured(capsys):
    with camera(images=(LEFT, bent(RIGHT, 0.8))):
        code, bad, everything = doctor(capsys, '-p', 'align_rows:=true')
    assert code == 0 and 'rows' not in bad
    assert 'corrected because align_rows is true' in next(f for f in everything if f['check'] == 'rows')['what']
    with camera(images=(LEFT, np.zeros_like(RIGHT))):
        _, _, everything = doctor(capsys)
    assert next(f for f in everything if f['check'] == 'rows')['what'].startswith('not measured: ')


def test_a_similar_topic_is_suggested_and_works(capsys):
    with camera(prefix='/stereo_cam/'):
        _, bad, findings = doctor(capsys)
        right = next(f for f in findings if f['about'] == '/right/image_rect')
        assert 'right_image_rect:=/stereo_cam/right/image_rect' in right['fix']
        topics = [f'{side}/{name}' for side in ('left', 'right') for name in ('image_rect', 'camera_info')]
        code, bad, _ = doctor(capsys, *(word for t in topics for word in ('-r', f'{t}:=/stereo_cam/{t}')))
        assert code == 0 and not bad
        assert doctor(capsys, '--namespace', '/stereo_cam')[0] == 0


def test_an_incompatible_qos_override_is_reported(capsys, tmp_path):
    overrides = {f'/{s}/image_rect': {'subscription': {'reliability': 'reliable'}} for s in ('left', 'right')}
    parameters = tmp_path / 'stereo.yaml'
    parameters.write_text(json.dumps({'/**': {'ros__parameters': {'qos_overrides': overrides}}}))
    with camera(reliability='best_effort'):
        code, bad, _ = doctor(capsys, '--params', parameters)
        assert code == 1 and bad['qos']['what'].startswith('the QoS policy reliability of a publisher is incompatible')
        code, bad, _ = doctor(capsys)
        assert code == 0, bad


def test_two_cameras_on_one_topic_and_an_unused_clock(capsys):
    with camera() as graph:
        other = rclpy.create_node('other_camera', context=graph.context)
        other.create_publisher(Image, 'left/image_rect', 10)
        other.create_publisher(Clock, '/clock', 10)
        code, bad, _ = doctor(capsys)
        assert code == 0 and '/clock has a publisher, but use_sim_time is false' in bad['clock']['what']
        assert set(bad['publishers']['what'].split(': ')[1].split(', ')) == {'/probe', '/other_camera'}
        other.destroy_node()


def test_two_nodes_of_the_same_name_are_reported(capsys):
    with camera() as graph:
        twins = [rclpy.create_node('stereo_depth', namespace='front', context=graph.context) for _ in range(2)]
        code, bad, _ = doctor(capsys)
        assert code == 0 and bad['name']['about'] == '/front/stereo_depth'
        assert bad['name']['what'] == '2 nodes have this name' and '__ns:=' in bad['name']['fix']
        for twin in twins:
            twin.destroy_node()


def test_large_clouds_without_the_transport_profile(capsys, monkeypatch):
    variable, profile = fastdds_profile()
    monkeypatch.delenv(variable, raising=False)
    big = tuple(np.zeros((480, 640), np.uint8) for _ in range(2))

    def enlarged(side, message):
        message.width, message.height = 640, 480
        return message

    with camera(images=big, info=enlarged):
        code, _, findings = doctor(capsys, '-p', 'cloud_stride:=1')
    transport = [f for f in findings if f['check'] == 'transport']
    assert code == 0 and transport[0]['what'] == 'a cloud has 4.7 MB, and no Fast DDS profile is set'
    assert transport[0]['level'] == 'warning' and f'export {variable}=' in transport[0]['fix']
    assert [f.level for f in transport_findings('a cloud', 5_000_000, {variable: profile})] == ['ok']


def test_other_faults_of_the_transport(tmp_path):
    variable, profile = fastdds_profile()

    def levels(largest, path, **how):
        return [(f.level, f.what) for f in transport_findings('a cloud', largest, {variable: str(path)}, **how)]

    ((level, what),) = levels(200_000_000, profile)
    assert level == 'warning' and 'segment_size is 72.0 MB; a cloud has 190.7 MB' in what
    broken = tmp_path / 'broken.xml'
    broken.write_text('<profiles')
    assert levels(5_000_000, broken)[0][0] == 'fault'
    assert 'MB are free' in levels(5_000_000, profile, shared_memory=tmp_path / 'nowhere')[0][1]
    small = tmp_path / 'rmem_max'
    small.write_text('212992')
    (socket,) = transport_findings('a cloud', 5_000_000, {'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'}, rmem_max=small)
    assert socket.fix == 'sudo sysctl -w net.core.rmem_max=4194304'


def damaged(tmp_path):
    path = model(tmp_path / 'tiny')
    path.with_suffix('.onnx').write_bytes(b'no network')
    return path


@pytest.mark.parametrize(
    ('arguments', 'check', 'message'),
    [
        (lambda p: ['-p', 'model:=sim-indoor'], 'model', 'allow_simulator_model is false'),
        (lambda p: ['--node', 'mono_depth'], 'model', "model is ''; expected"),
        (
            lambda p: [*SIMULATOR_MODEL, '-p', 'device:=cuda'],
            'device',
            'onnxruntime, which runs this model, cannot use cuda',
        ),
        (lambda p: ['-p', 'model:=moge-2-small'], 'model', 'does not exist'),
        (lambda p: ['-p', 'model:=mogee'], 'parameters', "unknown model 'mogee'"),
        (lambda p: ['-p', 'model:=prompt-depth-anything-vits'], 'model', 'takes a measured depth of the scene'),
        (lambda p: ['-p', f'model:={damaged(p)}'], 'model', 'tiny.onnx'),
        (lambda p: ['-p', 'range_min_m:=50', '-p', 'range_max_m:=5'], 'parameters', 'expected range_min_m <'),
        (lambda p: ['-p', 'modl:=x'], 'parameters', "did you mean 'model'"),
    ],
)
def test_faults_of_settings_and_machine_need_no_graph(capsys, tmp_path, monkeypatch, arguments, check, message):
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path))
    code, bad, _ = doctor(capsys, '--offline', *arguments(tmp_path))
    assert code == 1 and message in bad[check]['what'] and bad[check]['fix']


def test_a_device_with_fallback_is_a_warning_and_the_text_output_is_readable(capsys):
    arguments = [*SIMULATOR_MODEL, '-p', 'device:=cuda', '-p', 'allow_fallback:=true']
    code, bad, _ = doctor(capsys, '--offline', *arguments)
    assert code == 0 and bad['device']['level'] == 'warning'
    assert main(['doctor', '--offline', *arguments]) == 0
    output = capsys.readouterr().out
    assert 'WARNING cuda: onnxruntime, which runs this model, cannot use cuda' in output and '-m pip install ' in output
    assert output.endswith('mono_depth can work here: 0 fault(s), 2 warning(s)\n')


def test_the_status_of_a_running_node_is_reported(capsys):
    with Graph(listen=('depth/image_rect',), width=WIDTH, height=HEIGHT) as graph:
        time.sleep(0.5)
        code, bad, _ = doctor(capsys, seconds=2.5)
        assert code == 1 and bad['node']['level'] == 'warning' and 'no publisher on' in bad['node']['what']
        assert graph.node is not None


def test_a_mono_node_needs_its_image_its_sensor_and_what_its_network_needs(capsys, tmp_path):
    image, info = ['-r', 'image:=/left/image_rect'], ['-r', 'camera_info:=/left/camera_info']
    with camera():
        any_lens = ['-p', f'model:={model(tmp_path / "tiny")}']
        code, bad, _ = doctor(capsys, *any_lens, *image)
        assert code == 0 and bad['topic']['about'] == '/camera_info' and bad['topic']['level'] == 'warning'
        code, bad, _ = doctor(capsys, *SIMULATOR_MODEL, *image)
        assert code == 1 and bad['topic']['about'] == '/camera_info' and bad['topic']['level'] == 'fault'
        code, bad, _ = doctor(capsys, *any_lens, *image, *info, '-p', 'scale.source:=reference')
        assert code == 1 and bad['topic']['about'] == '/scale/reference'
        floor = ['-p', 'scale.source:=ground', '-p', 'camera_height_m:=0.5']
        code, bad, _ = doctor(capsys, *any_lens, *image, *floor)
        assert code == 1 and bad['topic']['about'] == '/camera_info' and bad['topic']['level'] == 'fault'
