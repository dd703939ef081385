"""Models as a repository for Triton: configuration, files, and what `depth-ros models serve` refuses."""

import re
from contextlib import closing

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_model import MANIFEST, model
from tiny_tflite import mean_of_channels as tflite

from depth_ros.cli.main import main
from depth_ros.networks.model_repository import configuration
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.runtime import TensorInfo


def serve(capsys, *arguments):
    code = main(['models', 'serve', *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def with_external_weights(path):
    """Move the weights of a file into another one beside it."""
    graph = onnx.load(path)
    onnx.save(graph, path, save_as_external_data=True, location='tiny.weights', size_threshold=0)
    return path


def test_a_model_is_written_with_its_configuration_version_file_and_weights(tmp_path, capsys):
    manifest = model(tmp_path / 'model')
    path = with_external_weights(manifest.with_suffix('.onnx'))
    repository = tmp_path / 'repository'
    code, out, _ = serve(capsys, manifest, 'sim-indoor', '--out', repository)
    assert code == 0 and f'{repository}/tiny: ' in out and 'url: grpc://HOST:8001/sim-indoor' in out
    found = sorted(p.relative_to(repository).as_posix() for p in repository.rglob('*') if p.is_file())
    assert found == [
        'sim-indoor/1/model.onnx', 'sim-indoor/config.pbtxt', 'tiny/1/model.onnx', 'tiny/1/tiny.weights',
        'tiny/config.pbtxt',
    ]  # fmt: skip
    image = {'image': np.random.default_rng(0).random((1, 3, 48, 64), np.float32)}
    with closing(OnnxRuntime(path)) as one, closing(OnnxRuntime(repository / 'tiny/1/model.onnx')) as other:
        np.testing.assert_array_equal(one.infer(image)['depth'], other.infer(image)['depth'])


def test_the_configuration_is_that_of_triton():
    pytest.importorskip('tritonclient.grpc', reason='tritonclient is not installed: pip install tritonclient[grpc]')
    text_format = pytest.importorskip('google.protobuf.text_format')
    from tritonclient.grpc import model_config_pb2

    inputs = TensorInfo('image', 'float32', (1, 3, None, None)), TensorInfo('num_tokens', 'int64', ())
    text = configuration('moge-2-small', inputs, (TensorInfo('depth', 'float16', (1, None, None)),))
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == ('moge-2-small', 'onnxruntime', 0)
    image, tokens = config.input
    assert (image.name, image.data_type, list(image.dims)) == ('image', model_config_pb2.TYPE_FP32, [1, 3, -1, -1])
    assert (tokens.data_type, list(tokens.dims)) == (model_config_pb2.TYPE_INT64, [1])
    assert tokens.HasField('reshape') and list(tokens.reshape.shape) == []
    assert [(o.name, o.data_type, list(o.dims)) for o in config.output] == [
        ('depth', model_config_pb2.TYPE_FP16, [1, -1, -1])
    ]


def test_a_model_is_replaced_as_a_whole_and_nothing_else_is_removed(tmp_path, capsys):
    manifest, repository = model(tmp_path / 'model'), tmp_path / 'repository'
    assert serve(capsys, manifest, '--out', repository)[0] == 0
    (repository / 'tiny/1/old.weights').write_text('old')
    assert serve(capsys, manifest, '--out', repository)[0] == 0
    assert sorted(p.name for p in (repository / 'tiny').rglob('*')) == ['1', 'config.pbtxt', 'model.onnx']
    other = tmp_path / 'home'
    (other / 'tiny').mkdir(parents=True)
    (other / 'tiny/letter.txt').write_text('keep')
    code, _, err = serve(capsys, manifest, '--out', other)
    assert code and 'is not a model of Triton' in err and (other / 'tiny/letter.txt').read_text() == 'keep'


def test_a_file_that_differs_from_its_manifest_or_is_not_onnx_is_not_written(tmp_path, capsys):
    manifest, repository = model(tmp_path / 'model', MANIFEST.replace('name: depth', 'name: distance')), tmp_path / 'r'
    code, _, err = serve(capsys, manifest, '--out', repository)
    assert code and 'does not match its manifest' in err and not repository.exists()
    pytest.importorskip('ai_edge_litert')
    lite = tmp_path / 'lite'
    lite.mkdir()
    tflite(lite / 'tiny.tflite')
    (lite / 'tiny.yaml').write_text(f'{MANIFEST.replace("tiny.onnx", "tiny.tflite")}runtime: {{backends: [litert]}}\n')
    code, _, err = serve(capsys, lite / 'tiny.yaml', '--out', repository)
    assert code and 'tiny is a file for litert; expected ONNX' in err and not repository.exists()


def test_weights_outside_the_folder_of_the_model_are_refused(tmp_path, capsys):
    manifest = model(tmp_path / 'model')
    path = with_external_weights(manifest.with_suffix('.onnx'))
    content = path.read_bytes()
    assert b'tiny.weights' in content
    from depth_ros.errors import ModelLoadError
    from depth_ros.networks.model_repository import external_weights

    assert external_weights(path) == ('tiny.weights',)
    path.write_bytes(content.replace(b'tiny.weights', b'../a/weights'))
    with pytest.raises(ModelLoadError, match=re.escape("'../a/weights'")):
        external_weights(path)


def test_weights_in_a_subgraph_are_found(tmp_path):
    from depth_ros.networks.model_repository import external_weights

    def branch(name, location):
        value = numpy_helper.from_array(np.zeros(4, np.float32), name)
        value.ClearField('raw_data')
        value.data_location = TensorProto.EXTERNAL
        value.external_data.add(key='location', value=location)
        return helper.make_graph([], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4])], [value])

    node = helper.make_node(
        'If', ['which'], ['depth'], then_branch=branch('a', 'a.bin'), else_branch=branch('b', 'deep/b.bin')
    )
    graph = helper.make_graph(
        [node], 'g', [helper.make_tensor_value_info('which', TensorProto.BOOL, [])],
        [helper.make_tensor_value_info('depth', TensorProto.FLOAT, [4])],
    )  # fmt: skip
    path = tmp_path / 'graph.onnx'
    path.write_bytes(helper.make_model(graph).SerializeToString())
    assert external_weights(path) == ('a.bin', 'deep/b.bin')
