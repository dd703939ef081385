"""What the doctor and ``models bench`` say about an inference server."""

import json

import pytest
from tiny_model import MANIFEST, model

pytest.importorskip('tritonclient.grpc', reason='tritonclient is not installed: pip install tritonclient[grpc]')

from inference_server import InferenceServer

from depth_ros.cli.main import main
from depth_ros.doctor.machine_checks import network_findings
from depth_ros.settings.node_settings import MonoSettings


@pytest.fixture
def manifest(tmp_path):
    return model(tmp_path / 'model')


@pytest.fixture
def server(manifest):
    with InferenceServer({'tiny': manifest.with_suffix('.onnx')}) as server:
        yield server


def test_the_doctor_connects_to_the_server_and_names_the_consequence_of_its_absence(manifest, server, tmp_path):
    settings = MonoSettings(model=str(manifest), device='remote', url=server.url())

    def finding(settings):
        (found,) = network_findings(settings)
        return found

    found = finding(settings)
    assert found.level == 'ok' and server.url() in found.what
    small = model(tmp_path / 'small', name='small')
    manifest.write_text(MANIFEST.replace('name: depth', 'name: distance'))
    found = finding(settings)
    assert found.level == 'fault' and 'does not match its manifest' in found.what and 'models serve' in found.fix
    manifest.write_text(MANIFEST)
    server.stop()
    found = finding(settings)
    assert found.level == 'fault' and 'refused' in found.what and 'no depth until' in found.why
    found = finding(settings.changed({'fallback_model': str(small)}))
    assert found.level == 'warning' and found.why == f'{small} is used instead'


@pytest.mark.parametrize('installed', [True, False])
def test_bench_compares_the_server_with_this_machine_if_the_model_is_installed(manifest, server, capsys, installed):
    if not installed:
        manifest.with_suffix('.onnx').unlink()
    arguments = ['--device', 'remote', '--url', server.url(), '--repeat', '3', '--image-size', '128x96', '--json']
    assert main(['models', 'bench', str(manifest), *arguments]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert server.url() in figures['model'] and figures['median_ms'] > 0
    assert ('overhead_ms' in figures) == installed
