"""A real Triton server for tests, from the wheel of nvidia-pytriton.

This Triton has the Python backend only, which runs ONNX Runtime here. ``DEPTH_ROS_TRITON_PYTHON`` is the interpreter of a
virtual environment with nvidia-pytriton and onnxruntime.
"""

import os
import signal
import socket
import subprocess
import threading

VARIABLE = 'DEPTH_ROS_TRITON_PYTHON'
_CHECK = 'import onnxruntime, pytriton, sysconfig; print(sysconfig.get_config_var("LIBDIR"))'
_SERVE = """
import sys, threading, time
from pathlib import Path
import onnxruntime
from google.protobuf import text_format
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import triton_to_np_dtype


def tensors(declared):
    for each in declared:
        datatype = model_config_pb2.DataType.Name(each.data_type).removeprefix('TYPE_')
        yield Tensor(name=each.name, dtype=triton_to_np_dtype(datatype), shape=tuple(each.dims))


def function(folder, config):
    session = onnxruntime.InferenceSession(str(folder / '1/model.onnx'))
    names, delay = [each.name for each in config.output], folder / '1/delay'

    def infer(requests):
        if delay.is_file():
            time.sleep(float(delay.read_text()))
        return [dict(zip(names, session.run(names, dict(request)))) for request in requests]

    return infer


repository, grpc_port, http_port = sys.argv[1:]
options = TritonConfig(grpc_port=int(grpc_port), http_port=int(http_port), allow_metrics=False)
with Triton(config=options) as triton:
    for folder in Path(repository).iterdir():
        config = text_format.Parse((folder / 'config.pbtxt').read_text(), model_config_pb2.ModelConfig())
        inputs, outputs = list(tensors(config.input)), list(tensors(config.output))
        triton.bind(config.name, function(folder, config), inputs, outputs, config=ModelConfig(batching=False))
    triton.run()
    print('ready', flush=True)
    threading.Event().wait()
"""


def why_not():
    """Return why there is no Triton on this machine; empty if there is one."""
    python = os.environ.get(VARIABLE, '')
    if not python:
        return f'{VARIABLE} is not set; expected the interpreter of an environment with nvidia-pytriton and onnxruntime'
    asked = subprocess.run([python, '-c', _CHECK], capture_output=True, text=True, env=_environment())
    return asked.stderr.strip().splitlines()[-1] if asked.returncode else ''


def _environment(**more):
    return {**{name: value for name, value in os.environ.items() if not name.startswith('PYTHON')}, **more}


class TritonServer:
    """Serves a repository that ``depth-ros models serve`` wrote, with the tensors of its configurations.

    Args:
        repository: Folder of the repository.
    """

    def __init__(self, repository):
        python = os.environ[VARIABLE]
        # The backend needs the libpython of its interpreter.
        libraries = subprocess.check_output([python, '-c', _CHECK], env=_environment(), text=True).strip()
        self._environment = _environment(LD_LIBRARY_PATH=libraries)
        with socket.socket() as grpc, socket.socket() as http:
            for each in (grpc, http):
                each.bind(('127.0.0.1', 0))
            self._ports = [str(each.getsockname()[1]) for each in (grpc, http)]
        self._command = [python, '-c', _SERVE, str(repository), *self._ports]
        self._repository = repository
        self.start()

    def start(self):
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        limit = threading.Timer(120.0, self._process.kill)
        limit.start()
        lines = []
        for line in self._process.stdout:
            if line == 'ready\n':
                break
            lines.append(line)
        else:
            raise AssertionError(''.join(lines))
        limit.cancel()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        """Read what the server writes, so that the pipe does not fill."""
        with self._process.stdout as output:
            output.read()

    def url(self, model):
        return f'grpc://127.0.0.1:{self._ports[0]}/{model}'

    def set_delay(self, model, seconds):
        """Let every inference of a model take longer."""
        path = self._repository / model / '1/delay'
        path.unlink(missing_ok=True)
        if seconds:
            path.write_text(str(seconds))

    def kill(self):
        """Kill the server and the processes of its models."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()  # until the last process of the server has closed the pipe, and with it the ports

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
