"""An inference server for tests: the Open Inference Protocol over gRPC, with ONNX Runtime behind it.

As a program: ``inference_server.py PORT NAME=FILE…``; it prints ``ready`` when it accepts calls.
"""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import onnxruntime
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

ADDRESS = '127.0.0.1'
_OPTIONS = (('grpc.so_reuseport', 0), ('grpc.max_receive_message_length', -1), ('grpc.max_send_message_length', -1))
_DTYPES = {'tensor(float)': 'FP32', 'tensor(float16)': 'FP16', 'tensor(uint8)': 'UINT8', 'tensor(int64)': 'INT64'}


class InferenceServer(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Serves ONNX files; the faults are attributes that a test changes while the server runs.

    Args:
        models: File of every model, by name.
        port: Port; 0 = any free one.
        credentials: Key and certificate (PEM) for TLS; None = not encrypted.
        token: Token that every call must have; empty = none.
    """

    def __init__(self, models, port=0, credentials=None, token=''):
        self.sessions = {name: onnxruntime.InferenceSession(str(path)) for name, path in models.items()}
        self.delay_s = 0.0
        self.error = None
        """Status with which every inference fails; None = none fails."""
        self.empty = False
        """Whether outputs have a shape and no content."""
        self.inferences, self.received = 0, []
        self.abandoned = 0
        """Number of inferences that the client cancelled, or whose deadline passed."""
        self._token = token
        self._stopped = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(8), options=_OPTIONS)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        if credentials is None:
            self.port = self._server.add_insecure_port(f'{ADDRESS}:{port}')
        else:
            self.port = self._server.add_secure_port(f'{ADDRESS}:{port}', grpc.ssl_server_credentials([credentials]))
        self._server.start()

    def url(self, model='tiny', scheme='grpc', host=ADDRESS):
        return f'{scheme}://{host}:{self.port}/{model}'

    def stop(self):
        """End all connections and calls at once."""
        self._stopped.set()
        self._server.stop(None).wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def ModelMetadata(self, request, context):  # noqa: N802
        session = self._session(request.name, context)

        def described(tensors):
            for each in tensors:
                shape = [side if isinstance(side, int) else -1 for side in each.shape] or [1]  # as Triton
                yield service_pb2.ModelMetadataResponse.TensorMetadata(
                    name=each.name, datatype=_DTYPES[each.type], shape=shape
                )

        return service_pb2.ModelMetadataResponse(
            name=request.name,
            platform='test',
            inputs=described(session.get_inputs()),
            outputs=described(session.get_outputs()),
        )

    def ModelInfer(self, request, context):  # noqa: N802
        session = self._session(request.model_name, context)
        self.inferences += 1
        self.received = [(each.name, each.datatype, tuple(each.shape)) for each in request.inputs]
        started_s = time.monotonic()
        while time.monotonic() < started_s + self.delay_s and context.is_active():
            self._stopped.wait(0.01)
        if not context.is_active():
            self.abandoned += 1
        if self.error is not None:
            context.abort(self.error, 'a fault of the test')
        inputs = {
            each.name: np.frombuffer(raw, triton_to_np_dtype(each.datatype)).reshape(each.shape)
            for each, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        for each in session.get_inputs():
            if not each.shape:
                inputs[each.name] = inputs[each.name].reshape(())
        names = [each.name for each in request.outputs] or None
        try:
            values = session.run(names, inputs)
        except Exception as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = service_pb2.ModelInferResponse(model_name=request.model_name)
        for name, value in zip(names or [each.name for each in session.get_outputs()], values, strict=True):
            response.outputs.add(name=name, datatype=np_to_triton_dtype(value.dtype), shape=value.shape)
            response.raw_output_contents.append(b'' if self.empty else value.tobytes())
        return response

    def _session(self, name, context):
        if self._token and ('authorization', f'Bearer {self._token}') not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, 'wrong token')
        if name not in self.sessions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"unknown model: '{name}' is not found")
        return self.sessions[name]


if __name__ == '__main__':
    InferenceServer(
        {name: Path(path) for name, path in (each.split('=') for each in sys.argv[2:])}, port=int(sys.argv[1])
    )
    print('ready', flush=True)
    while True:
        time.sleep(3600)
