"""Files of the wrong runtime, quantised tensors, and files that could execute code."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from tiny_model import MANIFEST, mean_of_channels, model

from depth_ros.cli.main import main
from depth_ros.errors import ModelLoadError
from depth_ros.networks.load_network import load_network
from depth_ros.networks.runtimes.progress import NO_LISTENER
from depth_ros.networks.runtimes.registry import RUNTIMES
from depth_ros.networks.runtimes.runtime import TensorInfo
from depth_ros.settings.node_settings import MonoSettings


@pytest.fixture
def tflite(tmp_path):
    """Return a model for LiteRT."""
    pytest.importorskip('ai_edge_litert')
    import tiny_tflite

    (tmp_path / 'tiny.yaml').write_text(tiny_tflite.MANIFEST)
    return tiny_tflite.mean_of_channels(tmp_path / 'tiny.tflite')


def test_a_tflite_model_is_found_by_its_file_checked_and_examined_by_the_doctor(tflite, capsys):
    assert main(['models', 'check', str(tflite)]) == 0
    assert 'matches the manifest of tiny on CPU (LiteRT' in capsys.readouterr().out
    assert main(['doctor', '--offline', '-p', f'model:={tflite}']) == 0
    assert 'loaded, and matches its manifest: tiny on CPU (LiteRT' in capsys.readouterr().out


def test_the_doctor_names_a_device_that_the_runtime_cannot_use(tflite, capsys):
    assert main(['doctor', '--offline', '-p', f'model:={tflite}', '-p', 'device:=cuda']) == 1
    assert 'litert, which runs this model, cannot use cuda' in (said := capsys.readouterr().out)
    assert 'set device: auto or cpu' in said


def test_the_doctor_prints_the_command_that_installs_a_missing_runtime(tflite, capsys, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'ai_edge_litert', None)
    assert main(['doctor', '--offline', '-p', f'model:={tflite}']) == 1
    assert 'LiteRT is not installed' in (said := capsys.readouterr().out) and '-m pip install' in said


def test_a_file_of_another_runtime_is_refused_with_the_line_for_its_manifest(tmp_path):
    """The extension of a file does not matter."""
    pytest.importorskip('ai_edge_litert')
    import tiny_tflite

    path = model(tmp_path)
    tiny_tflite.mean_of_channels(path.with_suffix('.onnx'))
    text = r'has the format TensorFlow Lite; expected ONNX\. Set runtime: \{backends: \[litert\]\} in its manifest'
    with pytest.raises(ModelLoadError, match=text):
        load_network(MonoSettings(model=str(path), device='cpu'), NO_LISTENER)


@pytest.mark.parametrize(
    ('runtime', 'expected'), [('litert', 'TensorFlow Lite'), ('torch', 'TorchScript or torch.export')]
)
def test_an_onnx_file_is_refused_by_the_other_runtimes(tmp_path, runtime, expected):
    path = mean_of_channels(tmp_path / 'net.onnx')
    text = rf'has the format ONNX; expected {expected}\. Set runtime: \{{backends: \[onnxruntime\]\}}'
    with pytest.raises(ModelLoadError, match=text):
        RUNTIMES[runtime](path)


class Malicious:
    """Pickled, it creates a file when it is read."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


@pytest.mark.parametrize('writer', ['pickle', pytest.param('torch.save', marks=pytest.mark.slow)])
@pytest.mark.parametrize('suffix', ['.pt', '.pt2'])
def test_a_checkpoint_is_refused_and_the_code_in_it_is_not_executed(tmp_path, writer, suffix):
    path, trace = tmp_path / f'net{suffix}', tmp_path / 'executed'
    if writer == 'pickle':
        path.write_bytes(pickle.dumps(Malicious(trace)))
    else:
        pytest.importorskip('torch').save(Malicious(trace), path)
    with pytest.raises(ModelLoadError, match='has the format torch checkpoint; .* can execute code'):
        RUNTIMES['torch'](path)
    assert not trace.exists()


@pytest.mark.parametrize('dtype', [np.int8, np.uint8])
def test_quantised_tensors_are_float_for_the_caller_and_the_output_has_no_steps(tmp_path, dtype):
    pytest.importorskip('ai_edge_litert')
    import tiny_tflite

    runtime = RUNTIMES['litert'](tiny_tflite.quantised_mean(tmp_path / 'net.tflite', dtype))
    assert runtime.inputs == (TensorInfo('image', 'float32', (1, 8, 8, 3)),)
    assert runtime.outputs == (TensorInfo('depth', 'float32', (1, 8, 8, 1)),)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype(np.float32) / 255
    found = runtime.infer({'image': pixels})['depth']
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[..., 0], 4 * pixels.mean(-1), atol=1e-5)  # one step of 8 bit would be 0.016
    beyond = runtime.infer({'image': np.full_like(pixels, 9.0)})['depth']
    np.testing.assert_allclose(beyond, 4.0, atol=1e-5)  # clipped, not wrapped around


def test_a_file_without_signature_has_the_names_of_its_tensors(tmp_path):
    pytest.importorskip('ai_edge_litert')
    import tiny_tflite

    runtime = RUNTIMES['litert'](tiny_tflite.mean_of_channels(tmp_path / 'net.tflite', size=(8, 8), signature=False))
    assert [each.name for each in (*runtime.inputs, *runtime.outputs)] == ['image:0', 'depth:0']


class Pair:
    """Networks with several outputs, for torch."""

    @staticmethod
    def tuple():
        import torch

        class Two(torch.nn.Module):
            def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
                return image + 1, image.sum()

        return Two()

    @staticmethod
    def mapping():
        import torch

        class Named(torch.nn.Module):
            def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
                return {'depth': image + 1, 'sky': image * 0}

        return Named()


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:`torch.jit')
def test_several_outputs_of_torch_have_the_names_of_a_dictionary_or_numbers(tmp_path):
    torch = pytest.importorskip('torch')
    image = torch.ones(1, 3, 4, 4)
    torch.jit.script(Pair.tuple()).save(str(tmp_path / 'two.pt'))
    torch.export.save(torch.export.export(Pair.mapping(), (image,)), str(tmp_path / 'named.pt2'))
    two = RUNTIMES['torch'](tmp_path / 'two.pt').infer({'image': image.numpy()})
    assert (two['output_0'] == 2).all() and two['output_1'] == 48
    named = RUNTIMES['torch'](tmp_path / 'named.pt2')
    assert [info.name for info in named.outputs] == ['depth', 'sky'] and named.inputs[0].shape == (1, 3, 4, 4)
    assert (named.infer({'image': image.numpy()})['depth'] == 2).all()
    torch.jit.script(Pair.mapping()).save(str(tmp_path / 'named.pt'))
    with pytest.raises(ModelLoadError, match='expected a tensor or a tuple of tensors'):
        RUNTIMES['torch'](tmp_path / 'named.pt')


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:`torch.jit')
def test_a_torchscript_model_runs_from_its_manifest_although_the_file_states_no_shapes(tmp_path, capsys):
    torch = pytest.importorskip('torch')

    class Mean(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.mean(1, keepdim=True) + 1

    torch.jit.script(Mean()).save(str(tmp_path / 'tiny.pt'))
    manifest = MANIFEST.replace('tiny.onnx', 'tiny.pt').replace('name: depth', 'name: output')
    (tmp_path / 'tiny.yaml').write_text(f'{manifest}runtime: {{backends: [torch]}}\n')
    assert main(['models', 'check', str(tmp_path / 'tiny.pt')]) == 0
    assert 'matches the manifest of tiny on CPU (torch' in capsys.readouterr().out
