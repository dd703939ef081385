"""Encryption and tokens of the connection to an inference server."""

import shutil
import subprocess
from contextlib import closing

import pytest
from runtime_files import FILES
from tiny_model import mean_of_channels

pytest.importorskip('tritonclient.grpc', reason='tritonclient is not installed: pip install tritonclient[grpc]')
if shutil.which('openssl') is None:
    pytest.skip('openssl, which makes the certificates, is not installed', allow_module_level=True)

from inference_server import InferenceServer

from depth_ros.errors import ServerUnavailable
from depth_ros.networks.runtimes.kserve_runtime import KserveRuntime, RemoteOptions
from depth_ros.settings.server_address import parse_url

IMAGE = FILES['onnxruntime'].image()
TOKEN = 'secret-token-of-the-test'


def certificate(folder, name):
    """Make a key and a certificate for the loopback address; return their paths."""
    key, path = folder / f'{name}.key', folder / f'{name}.pem'
    subprocess.run(
        [
            'openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
            '-keyout', key, '-out', path, '-days', '2', '-subj', f'/CN={name}', '-addext', 'subjectAltName=IP:127.0.0.1',
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return key, path


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('served')
    mean_of_channels(folder / 'tiny.onnx')
    certificate(folder, 'server')
    certificate(folder, 'other')
    return folder


@pytest.fixture
def server(folder):
    credentials = (folder / 'server.key').read_bytes(), (folder / 'server.pem').read_bytes()
    with InferenceServer({'tiny': folder / 'tiny.onnx'}, credentials=credentials, token=TOKEN) as server:
        yield server


def opened(server, ca_file, token_file):
    return KserveRuntime(RemoteOptions(parse_url(server.url(scheme='grpcs')), 5.0, str(ca_file), str(token_file)))


def test_an_encrypted_server_is_used_with_its_certificate_and_the_token_of_the_file(server, folder, tmp_path):
    token = tmp_path / 'token'
    token.write_text(f'{TOKEN}\n')
    with closing(opened(server, folder / 'server.pem', token)) as runtime:
        assert runtime.infer(IMAGE)['depth'].max() == pytest.approx(7.0)
        token.write_text('replaced')
        with pytest.raises(ServerUnavailable, match='UNAUTHENTICATED: wrong token'):
            runtime.infer(IMAGE)
        token.write_text(TOKEN)  # a renewed token is used without a new connection
        assert runtime.infer(IMAGE)


@pytest.mark.parametrize('ca', ['other', ''])
def test_a_server_with_another_certificate_is_refused(server, folder, tmp_path, ca):
    token = tmp_path / 'token'
    token.write_text(TOKEN)
    with pytest.raises(ServerUnavailable, match='CERTIFICATE_VERIFY_FAILED'):
        opened(server, folder / f'{ca}.pem' if ca else '', token)


def test_unusable_files_are_refused_with_parameter_and_path_and_without_their_content(server, folder, tmp_path):
    token, noise = tmp_path / 'token', tmp_path / 'noise'
    noise.write_text('no certificate')
    for ca, content, text in (
        (tmp_path / 'missing', TOKEN, r"remote_ca_file is '.*missing', which cannot be read: No such file"),
        (noise, TOKEN, r"remote_ca_file is '.*noise', which contains no certificates"),
        (folder / 'server.pem', '', r"remote_token_file is '.*token', which is empty or has several lines"),
        (folder / 'server.pem', f'{TOKEN}\nsecond', r"remote_token_file is '.*token', which is empty or has several"),
        (folder / 'server.pem', f'{TOKEN}\xe9', r"remote_token_file is '.*token', which cannot be read"),
        (folder / 'server.pem', f'{TOKEN}-wrong', 'UNAUTHENTICATED'),
    ):
        token.write_text(content)
        with pytest.raises(ServerUnavailable, match=text) as caught:
            opened(server, ca, token)
        assert TOKEN not in str(caught.value)
