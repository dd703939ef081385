"""`depth-ros models pull`, over HTTP on loopback and with the library of the hub."""

import hashlib
import os
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tiny_model import MANIFEST, mean_of_channels, model

from depth_ros.cli.main import main
from depth_ros.errors import ModelLoadError
from depth_ros.files.model_cache import sha256
from depth_ros.networks.catalog import find_manifest, model_file, shipped_models
from depth_ros.networks.download import pull


class Server:
    """HTTP server of files on loopback, also in the form of the hub; ``cut`` ends every response early."""

    def __init__(self, files, cut=False):
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.answer(body=False)

            def do_GET(self):
                self.answer(body=True)

            def answer(self, body):
                data = files.get(self.path)
                self.send_response(404 if data is None else 200)
                data = data or b''
                self.send_header('Content-Length', str(len(data)))
                self.send_header('ETag', f'"{hashlib.sha256(data).hexdigest()}"')
                self.send_header('X-Repo-Commit', '0' * 40)
                self.end_headers()
                if body:
                    self.wfile.write(data[: len(data) // 2] if cut else data)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.address = f'http://127.0.0.1:{self._server.server_port}'

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Return a manifest whose file is missing, and the content of that file."""
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path / 'cache'))
    source = mean_of_channels(tmp_path / 'source.onnx').read_bytes()
    path = model(tmp_path / 'described')
    path.with_suffix('.onnx').unlink()
    return path, source


def test_a_file_is_downloaded_completely_and_its_checksum_recorded(tiny, capsys):
    path, source = tiny
    with Server({'/x/net.onnx': source}) as server:
        assert main(['models', 'pull', str(path), '--from', f'{server.address}/x/net.onnx']) == 0
    text = capsys.readouterr().out
    assert (
        hashlib.sha256(source).hexdigest() in text
        and 'later changes of the file will be detected' in text
        and 'licence' in text
    )
    manifest, _ = find_manifest(str(path))
    folder = path.parents[1] / 'cache/tiny'
    downloaded = model_file(manifest, folder)
    assert downloaded.read_bytes() == source
    assert sorted(p.name for p in folder.iterdir()) == ['tiny.onnx', 'tiny.onnx.sha256']
    downloaded.write_bytes(source[:-1] + b'x')
    with pytest.raises(ModelLoadError, match='damaged or another file'):
        model_file(manifest, folder)


def test_files_that_belong_to_it_keep_their_names(tiny):
    path, source = tiny
    with Server({'/a.onnx': source, '/weights.bin': b'w'}) as server:
        pulled = pull(find_manifest(str(path))[0], (f'{server.address}/a.onnx', f'{server.address}/weights.bin'))
    assert [file.path.name for file in pulled] == ['tiny.onnx', 'weights.bin']


def test_a_declared_checksum_is_compared_and_nothing_else_is_kept(tiny):
    path, source = tiny
    right = hashlib.sha256(source).hexdigest()
    path.write_text(MANIFEST.replace('dynamic: true', f'dynamic: true, sha256: {right}'))
    manifest, _ = find_manifest(str(path))
    with Server({'/a': source + b'!', '/b': source}) as server:
        with pytest.raises(ModelLoadError, match=f'expected {right}'):
            pull(manifest, (f'{server.address}/a',))
        assert not list((path.parents[1] / 'cache/tiny').iterdir())
        assert pull(manifest, (f'{server.address}/b',))[0].declared


@pytest.mark.parametrize(
    ('address', 'text'),
    [
        ('{server}/missing', 'returned 404 .* Check the address'),
        ('{server}/net', 'cannot be downloaded: .* Without a connection'),  # cut short
        ('http://127.0.0.1:9/net', 'cannot be downloaded: .* Without a connection'),
        ('file:///etc/hostname', 'is neither a file nor an address; expected a path'),
    ],
)
def test_a_failed_download_prints_one_line_and_leaves_no_file(tiny, capsys, address, text):
    path, source = tiny
    with Server({'/net': source}, cut=True) as server:
        assert main(['models', 'pull', str(path), '--from', address.format(server=server.address)]) == 1
    import re

    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith('depth-ros: ')]
    assert len(error) == 1 and re.search(text, error[0])
    assert not (path.parents[1] / 'cache/tiny/tiny.onnx').exists()


def test_a_cache_that_cannot_be_written_is_an_error(tiny, monkeypatch, tmp_path):
    path, source = tiny
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path / 'file'))
    with Server({'/a': source}) as server, pytest.raises(ModelLoadError, match='cannot be written: .* DEPTH_ROS_CACHE'):
        pull(find_manifest(str(path))[0], (f'{server.address}/a',))


def test_the_error_for_an_unpublished_model_states_how_to_get_it(capsys):
    assert main(['models', 'pull', 'zoedepth-n']) == 1
    assert 'cannot be pulled' in (error := capsys.readouterr().err) and 'depth-ros models export' in error


def hub_pull(path, endpoint):
    environment = {**os.environ, 'HF_ENDPOINT': endpoint, 'HF_HUB_DISABLE_TELEMETRY': '1', 'HF_HUB_DISABLE_XET': '1'}
    command = [sys.executable, '-m', 'depth_ros.cli.main', 'models', 'pull', str(path)]
    source = 'hf://someone/some-model/onnx/model.onnx'
    return subprocess.run([*command, '--from', source], env=environment, capture_output=True, text=True, timeout=60)


def test_the_hub_is_accessed_with_its_own_library(tiny):
    path, source = tiny
    with Server({'/someone/some-model/resolve/main/onnx/model.onnx': source}) as server:
        done = hub_pull(path, server.address)
    assert done.returncode == 0, done.stderr
    assert sha256(path.parents[1] / 'cache/tiny/tiny.onnx') == hashlib.sha256(source).hexdigest()


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_reported_in_one_error(tiny):
    done = hub_pull(tiny[0], 'http://127.0.0.1:9')
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert 'cannot be downloaded' in done.stderr and 'Without a connection' in done.stderr


@pytest.mark.parametrize('suffix', ['', '.gz'])
def test_a_member_of_an_archive_becomes_the_file_of_the_model(tiny, tmp_path, suffix):
    path, source = tiny
    archive, packed = tmp_path / 'archive.tar', tmp_path / 'net.onnx'
    packed.write_bytes(source)
    with tarfile.open(archive, f'w:{suffix[1:]}') as tar:
        tar.add(packed, 'folder/other/net.onnx')
        tar.add(__file__, 'folder/README')
    manifest, _ = find_manifest(str(path))
    with Server({'/x/all.tar': archive.read_bytes()}) as server:
        (file,) = pull(manifest, (f'{server.address}/x/all.tar#folder/other/net.onnx',))
        assert file.path.read_bytes() == source and {f.name for f in file.path.parent.iterdir()} == {
            'tiny.onnx', 'tiny.onnx.sha256'
        }  # fmt: skip
        for member in ('folder/absent.onnx', 'folder'):
            with pytest.raises(ModelLoadError, match=f'does not contain the file {member}'):
                pull(manifest, (f'{server.address}/x/all.tar#{member}',))
    with Server({'/x/all.tar': b'no archive'}) as server, pytest.raises(ModelLoadError, match='does not contain'):
        pull(manifest, (f'{server.address}/x/all.tar#net.onnx',))
    assert {f.name for f in file.path.parent.iterdir()} == {'tiny.onnx', 'tiny.onnx.sha256'}


def test_a_local_file_is_copied_into_the_cache_and_its_checksum_compared(tiny, tmp_path, capsys):
    path, source = tiny
    (tmp_path / 'mine.onnx').write_bytes(source)
    assert main(['models', 'pull', str(path), '--from', str(tmp_path / 'mine.onnx')]) == 0
    assert (tmp_path / 'cache/tiny/tiny.onnx').read_bytes() == source and (tmp_path / 'mine.onnx').is_file()
    manifest, _ = find_manifest(str(path))
    other = replace(manifest, artifact=replace(manifest.artifact, sha256='0' * 64))
    with pytest.raises(ModelLoadError, match=f'has sha256 .* expected {"0" * 64}'):
        pull(other, (str(tmp_path / 'mine.onnx'),))


def test_every_shipped_address_names_a_file_of_its_model():
    for manifest, _ in shipped_models():
        for address in manifest.artifact.urls:
            endings = ('.onnx', '.onnx_data', '.tflite', '.pt')
            assert address.count('/') >= 4 and address.endswith(endings), (manifest.id, address)
