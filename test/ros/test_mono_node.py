"""The ``mono_depth`` node and networks in ``stereo_depth``, on a live graph with real ONNX files."""

import shutil
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from graph import Graph, MonoGraph, NodeProcess, wait_for
from models_scene import scene_runtime
from tiny_model import CANONICAL, RELATIVE, RELATIVE_DEPTH, STEREO, model

from depth_ros.messages import read_messages
from depth_ros.networks.catalog import find_manifest
from depth_ros.networks.network_estimator import MonoNetwork
from depth_ros.pipeline import mono_estimator, stereo_estimator
from depth_ros.ros.diagnostics import ERROR, WARN
from depth_ros.stages.relative_scaling import RelativeScaler

pytestmark = [pytest.mark.ros, pytest.mark.slow]
DEPTH = 'depth/image_rect'


def floats(message):
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


def mono(path, **options):
    return MonoGraph({'model': str(path), 'cloud_rate_hz': 0.0}, mono_estimator, **options)


def grey(graph, value):
    return graph.image(graph.head(), np.full((48, 64), value, np.uint8))


def test_a_metric_network_gives_metres_intrinsics_and_points(tmp_path):
    with mono(model(tmp_path)) as graph:
        graph.open_camera()
        head = graph.head()
        stamp = read_messages.stamp_ns(head.stamp)
        graph.send(stamp, image=graph.image(head, np.full((48, 64), 2, np.uint8)))
        depth = graph.wait_for_messages(DEPTH)[0]
        np.testing.assert_allclose(floats(depth), 3.0, atol=1e-5)
        assert read_messages.stamp_ns(depth.header.stamp) == stamp
        info, points = graph.wait_for_messages('depth/camera_info')[0], graph.wait_for_messages('points')[0]
        assert (info.width, info.height, info.k[0]) == (64, 48, 300.0)
        assert points.width == 24 * 32 and points.header == depth.header
        assert not graph.received['depth/relative']


def test_b1_a_metric_network_publishes_depth_without_camera_info_but_no_points(tmp_path):
    with mono(model(tmp_path)) as graph:
        graph.open_camera()
        graph.stream(35, rate_hz=10, info=False)
        assert len(graph.received[DEPTH]) > 5
        assert not graph.received['points'] and not graph.received['depth/camera_info']
        assert 'no camera_info on /camera_info' in graph.status()[1]


def test_a_canonical_network_uses_the_focal_length_at_its_own_size(tmp_path):
    with mono(model(tmp_path, CANONICAL)) as graph:
        graph.open_camera()
        graph.send(image=grey(graph, 1))  # the network's input has the size of the picture: f = 300 px
        np.testing.assert_allclose(floats(graph.wait_for_messages(DEPTH)[0]), 2.0 * 300 / 60, atol=1e-4)


def test_what_lacks_a_scale_goes_to_the_relative_topic_only_and_diagnostics_say_why(tmp_path):
    with mono(model(tmp_path, RELATIVE)) as graph:
        graph.open_camera()
        graph.stream(5, image=slope(graph))
        relative = graph.wait_for_messages('depth/relative', 3)[0]
        assert relative.encoding == '32FC1' and np.ptp(floats(relative)) == 1
        level, words, _ = graph.wait_for_status('scale and shift')
        assert level == WARN and 'tiny' in words
        assert not graph.received[DEPTH] and not graph.received['points']
        account = graph.wait_until_settled()
        assert account.received == account.published + sum(account.dropped.values())


@pytest.mark.parametrize(
    ('topics', 'scaling', 'expected'),
    [
        (('scale',), 'robust', False),
        (('depth/relative',), 'none', False),
        (('depth/relative',), 'robust', True),
        (('depth/color',), 'none', True),
    ],
)
def test_nearness_is_computed_only_for_topics_that_show_it(tmp_path, monkeypatch, topics, scaling, expected):
    computed = []
    apply = RelativeScaler.apply
    monkeypatch.setattr(RelativeScaler, 'apply', lambda *given: computed.append(1) or apply(*given))
    values = {'model': str(model(tmp_path, RELATIVE)), 'relative_scaling': scaling, 'scale.source': 'reference'}
    with MonoGraph(values, mono_estimator, listen=topics) as graph:
        graph.open_camera()
        wait_for(lambda: graph.send(image=slope(graph)) and graph.received[topics[0]])
        wait_for(lambda: graph.wait_until_settled().published)
    assert bool(computed) == expected


def slope(graph):
    """Return an image that is brighter to the right, by a grey level per column."""
    return graph.image(graph.head(), np.tile(np.arange(64, dtype=np.uint8), (48, 1)))


@pytest.mark.parametrize(
    'kind', [RELATIVE, RELATIVE_DEPTH, CANONICAL], ids=['inverse depth', 'depth', 'up to a factor']
)
def test_relative_depth_is_published_from_far_0_to_near_1_and_in_colours(tmp_path, kind):
    nearer = slice(-1, -20, -1) if kind == RELATIVE else slice(0, 19)
    with mono(model(tmp_path, kind)) as graph:
        graph.open_camera()
        graph.stream(5, image=slope(graph), info=False)
        relative, color = (graph.wait_for_messages(topic)[0] for topic in ('depth/relative', 'depth/color'))
        values = floats(relative)
        assert values.min() == 0 and values.max() == 1
        assert (np.diff(values[24, nearer]) <= 0).all() and values[24, nearer][0] > values[24, nearer][-1]
        rgb = np.frombuffer(color.data, np.uint8).reshape(48, 64, 3).astype(int)
        near, far = rgb[values > 0.97], rgb[values < 0.03]
        assert color.encoding == 'rgb8' and color.header.frame_id == relative.header.frame_id
        assert (near[:, 0] > near[:, 2]).all() and (far[:, 2] > far[:, 0]).all()  # red is near, blue is far
        assert graph.set_parameters('mono_depth', relative_scaling='none').successful
        wait_for(
            lambda: (
                graph.send(image=slope(graph), info=False) and floats(graph.received['depth/relative'][-1]).max() > 1
            )
        )
        np.testing.assert_allclose(floats(graph.received['depth/relative'][-1])[24, 1:-1], np.arange(2, 64), atol=0.1)


def test_a_canonical_network_without_camera_info_is_relative_until_it_comes(tmp_path):
    with mono(model(tmp_path, CANONICAL)) as graph:
        graph.open_camera()
        graph.stream(4, info=False)
        graph.wait_for_messages('depth/relative', 2)
        assert not graph.received[DEPTH]
        graph.wait_for_status('the focal length (from camera_info)')
        graph.send()
        graph.wait_for_messages(DEPTH)


def test_the_model_is_swapped_while_the_old_one_serves(tmp_path):
    first, second = model(tmp_path / 'a'), model(tmp_path / 'b', plus=5.0, name='second')
    with mono(first) as graph:
        graph.open_camera()
        graph.send(image=grey(graph, 1))
        graph.wait_for_messages(DEPTH)
        assert graph.set_parameters('mono_depth', model=str(second)).successful
        wait_for(lambda: graph.send(image=grey(graph, 1)) and floats(graph.received[DEPTH][-1])[0, 0] == 6.0)
        values = {float(floats(m)[0, 0]) for m in graph.received[DEPTH]}
        assert values == {2.0, 6.0}
        graph.wait_for_status('')
        wait_for(lambda: 'second' in graph.status()[2]['estimator'])


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (lambda p: p.with_suffix('.onnx').unlink(), 'second.onnx does not exist'),
        (lambda p: p.write_text('a: ['), 'cannot be read as YAML'),
        (lambda p: p.write_text(p.read_text().replace('task: mono', 'task: stereo')), 'second.yaml'),
    ],
)
def test_a_missing_model_is_rejected_with_the_reason(tmp_path, spoil, words):
    first, second = model(tmp_path / 'a'), model(tmp_path / 'b', name='second')
    spoil(second)
    with mono(first) as graph:
        for name, expected in (('sim-indor', "did you mean 'sim-indoor'?"), (str(second), words)):
            result = graph.set_parameters('mono_depth', model=name)
            assert not result.successful and expected in result.reason
        assert not graph.set_parameters('mono_depth', model='raft-stereo').successful
        assert graph.get_parameter('model', 'mono_depth').string_value == str(first)


def test_a_model_that_fails_its_checks_leaves_the_old_one_in_use(tmp_path):
    first, second = model(tmp_path / 'a'), model(tmp_path / 'b', name='second')
    second.with_suffix('.onnx').write_bytes(b'no network')
    with mono(first) as graph:
        graph.open_camera()
        assert graph.set_parameters('mono_depth', model=str(second)).successful
        logged = []
        report = graph.node._throttled_log.report
        graph.node._throttled_log.report = lambda kind, text: logged.append(text) or report(kind, text)
        wait_for(lambda: graph.send(image=grey(graph, 1)) and any('cannot be loaded' in text for text in logged))
        before = len(graph.received[DEPTH])
        graph.send(image=grey(graph, 1))
        assert floats(graph.wait_for_messages(DEPTH, before + 1)[-1])[0, 0] == 2.0


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({}, "model is ''; expected the id of a network"),
        ({}, 'Available on this machine: sim-indoor (simulator only)'),
        ({}, 'depth-ros models pull ID'),
        ({'model': 'no-such-model'}, "unknown model 'no-such-model'"),
        ({'model': 'raft-stereo'}, 'does not exist. Get or export it'),
        ({'model': 'depth-anything-v2-large', 'commercial_only': True}, 'is refused: commercial_only is true'),
    ],
)
def test_a_network_that_cannot_be_used_fails_configure_with_words(parameters, words):
    with MonoGraph(parameters, mono_estimator) as graph:
        level, text, _ = graph.wait_for_status('cannot configure')
        assert level == ERROR and words in text
        assert graph.lifecycle_state('mono_depth') == 'unconfigured'


def test_e5_a_bad_model_then_a_good_one(tmp_path):
    path = model(tmp_path)
    hidden = shutil.move(tmp_path / 'tiny.onnx', tmp_path / 'hidden')
    with mono(path) as graph:
        graph.wait_for_status('cannot configure')
        shutil.move(hidden, tmp_path / 'tiny.onnx')
        assert graph.change_state('configure', 'mono_depth') and graph.change_state('activate', 'mono_depth')
        graph.open_camera()
        graph.send()
        graph.wait_for_messages(DEPTH)


def test_a_stereo_network_replaces_the_matcher(tmp_path):
    path = model(tmp_path, STEREO, plus=2.0)
    with Graph({'model': str(path)}, stereo_estimator, listen=(DEPTH, 'disparity')) as graph:
        graph.open_camera()
        head = graph.head()
        graph.send(left=graph.image(head), right=graph.image(head))
        depth = floats(graph.wait_for_messages(DEPTH)[0])
        np.testing.assert_allclose(depth[:, 4:], 300.0 * 0.1 / 2.0, rtol=1e-4)  # 2 px everywhere
        assert np.isnan(depth[:, 0]).all()  # whose match would lie outside the right image
        assert 'tiny' in graph.wait_for_status('Hz')[2]['estimator']


def fake_network(**faults):
    manifest, _ = find_manifest('depth-anything-v2-metric-indoor-small')
    return MonoNetwork(manifest, scene_runtime(manifest, (64, 48), **faults))


def test_f12_without_memory_it_backs_off_opens_the_device_anew_and_resumes(monkeypatch):
    monkeypatch.setattr('depth_ros.ros.failure_recovery._MIN_PAUSE_S', 0.3)
    made = []

    def make(settings, watch):
        assert all(network._runtime.times_closed == 1 for network in made)  # there may not be enough memory for both
        made.append(fake_network(oom_at=(lambda n: n >= 2) if not made else (lambda n: False)))
        return made[-1]

    with MonoGraph({'model': 'x'}, make) as graph:
        graph.open_camera()
        graph.send()
        level, words, _ = graph.wait_for_status('out of memory')
        assert level == WARN and 'memory_limit_mb' in words
        wait_for(lambda: graph.send() and time.sleep(0.05) is None and graph.received[DEPTH])
        assert len(made) == 2
        account = graph.wait_until_settled()
        assert account.dropped['out_of_memory'] >= 1
        assert account.received == account.published + sum(account.dropped.values())


def test_f13_a_lost_device_is_reported_and_nothing_is_published():
    with MonoGraph({'model': 'x'}, lambda settings, watch: fake_network(lost_at=lambda n: n == 2)) as graph:
        graph.open_camera()
        graph.stream(10)
        level, words, _ = graph.wait_for_status('the device is lost')
        assert level == ERROR and 'only a new process' in words
        assert not graph.received[DEPTH]
        assert graph.wait_until_settled().dropped['device_lost'] >= 1
        assert graph.get_parameter('on_device_lost', 'mono_depth').string_value == 'stay'


LOSING_NODE = """
import sys
sys.path.insert(0, {path!r})
from depth_ros.ros import node_process
node_process.catch_signals()
from depth_ros.ros.mono_node import MonoDepthNode
from ros.test_mono_node import fake_network
make = lambda settings, watch: fake_network(lost_at=lambda n: n == 2)
sys.exit(node_process.run(lambda: MonoDepthNode(make)))
"""


def test_f13_it_exits_with_code_1_if_on_device_lost_is_exit(tmp_path):
    script = tmp_path / 'node.py'
    script.write_text(LOSING_NODE.format(path=str(Path(__file__).parents[1])))
    with MonoGraph(node=False, listen=(DEPTH,)) as graph:
        arguments = ('--ros-args', '-p', 'on_device_lost:=exit')
        with NodeProcess(graph.domain, *arguments, script=str(script)) as running:
            graph.open_camera()
            graph.send_until(lambda: running.popen.poll() is not None)
            code, output, _ = running.end()
    assert code == 1 and 'Traceback' not in output, output


def test_the_executable_starts_serves_and_ends(tmp_path):
    path = model(tmp_path)
    with MonoGraph(node=False, listen=(DEPTH,)) as graph:
        arguments = ('--ros-args', '-p', f'model:={path}')
        with NodeProcess(graph.domain, *arguments, module='depth_ros.ros.mono_depth') as running:
            graph.open_camera()
            graph.send_until(lambda: graph.received[DEPTH])
            running.signal()
            code, output, _ = running.end()
    assert code == 0 and 'Traceback' not in output


def test_f17_memory_stays_flat_over_many_frames_of_changing_size(tmp_path):
    import psutil

    from depth_ros.settings.node_settings import MonoSettings
    from depth_ros.types import Frame

    network = mono_estimator(MonoSettings(model=str(model(tmp_path))))
    rng, memory = np.random.default_rng(0), []
    for i in range(2000):
        height, width = rng.integers(60, 240, 2)
        network.estimate(Frame(np.zeros((height, width, 3), np.uint8), None))
        if i % 200 == 199:
            memory.append(psutil.Process().memory_info().rss / 2**20)
    assert memory[-1] - memory[1] < 20, memory


def test_f15_constant_depth_for_thirty_frames_is_reported(tmp_path):
    with mono(model(tmp_path)) as graph:
        graph.open_camera()
        for sent in range(1, 41):
            graph.send(image=grey(graph, 7))
            graph.wait_for_messages(DEPTH, sent)  # the depth is published nevertheless
        assert 'lens is not covered' in graph.wait_for_status('the same depth')[1]


def test_the_confidence_of_a_network_is_published_and_removes_depth_below_the_limit(tmp_path):
    path = model(tmp_path)
    with_confidence(path)
    with MonoGraph({'model': str(path), 'range_max_m': 300.0, 'filter.min_confidence': 0.5}, mono_estimator) as graph:
        graph.open_camera()
        pixels = np.full((48, 64), 40, np.uint8)
        pixels[:, 32:] = 200
        graph.send(image=graph.image(graph.head(), pixels))
        confidence, depth = (floats(graph.wait_for_messages(topic)[0]) for topic in ('confidence', DEPTH))
        np.testing.assert_allclose(confidence[:, [10, 50]], np.broadcast_to([0.2, 1.0], (48, 2)), atol=1e-5)
        assert np.isnan(depth[:, :30]).all() and np.isfinite(depth[:, 34:]).all()


def with_confidence(path):
    """Add an output to a tiny network: half a percent of the brightness, which is the confidence."""
    graph = onnx.load(path.with_suffix('.onnx'))
    graph.graph.node.append(onnx.helper.make_node('Mul', ['mean', 'share'], ['confidence']))
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0.005], np.float32), 'share'))
    graph.graph.output.append(onnx.helper.make_tensor_value_info('confidence', 1, [1, 1, 'h', 'w']))
    onnx.save(graph, path.with_suffix('.onnx'))
    text = path.read_text().replace(
        'layout: N1HW}]', 'layout: N1HW}, {name: confidence, role: confidence, layout: N1HW}]'
    )
    path.write_text(text)
