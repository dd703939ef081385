"""A model on an inference server as a ``Runtime``: the Open Inference Protocol (KServe V2) over gRPC.

Triton, OpenVINO Model Server, MLServer and KServe speak this protocol. Every call has a deadline.
"""

import queue
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from depth_ros.errors import DeadlineExceeded, DeviceUnavailable, InferenceError, ServerUnavailable
from depth_ros.files.install_command import install_command
from depth_ros.networks.runtimes.runtime import TensorInfo, check_inputs
from depth_ros.settings.network_settings import NetworkSettings
from depth_ros.settings.server_address import ServerAddress
from depth_ros.types import AnyArray

_METADATA_DEADLINE_S, _FIRST_DEADLINE_S = 3.0, 10.0
_CHANNEL = (
    ('grpc.max_send_message_length', -1),
    ('grpc.max_receive_message_length', -1),
    # Otherwise a new connection waits as long as failed earlier ones to the same address do.
    ('grpc.use_local_subchannel_pool', 1),
)
_UNAVAILABLE = ('UNAVAILABLE', 'NOT_FOUND', 'UNAUTHENTICATED', 'PERMISSION_DENIED', 'UNIMPLEMENTED')


@dataclass(frozen=True)
class RemoteOptions:
    """Where the model is served, and how it is called."""

    address: ServerAddress
    deadline_s: float
    """Maximum time for one call."""
    ca_file: str = ''
    """File of the trusted certificates (PEM); empty = those that gRPC trusts."""
    token_file: str = ''
    """File with the access token, read for every call; empty = none."""


def remote_options(settings: NetworkSettings) -> RemoteOptions:
    """Return the options that a node with ``device: remote`` has set."""
    return RemoteOptions(
        settings.server, settings.remote_deadline_ms / 1e3, settings.remote_ca_file, settings.remote_token_file
    )


class KserveRuntime:
    """One model on a server, with the tensors that the server states.

    Args:
        options: The server, its credentials and the deadline.
        outputs: Names of the outputs to request; None = all.

    Raises:
        ServerUnavailable: the server cannot be reached, refuses the call or does not have the model, or the file of
            certificates or of the token cannot be used.
        DeviceUnavailable: tritonclient is not installed.
    """

    engines: Path | None = None

    def __init__(self, options: RemoteOptions, outputs: Collection[str] | None = None) -> None:
        self._library = _tritonclient()
        self._options = options
        self._url = str(options.address)
        self._deadline_s = max(options.deadline_s, _FIRST_DEADLINE_S)
        """Deadline of the next call. Servers allocate memory and compile kernels in the first one."""
        self._call: Any = None
        self._cancelled = False
        self._client: Any = self._connect()
        try:
            metadata = self._client.get_model_metadata(
                options.address.model, headers=self._headers(), client_timeout=_METADATA_DEADLINE_S
            )
        except self._library.InferenceServerException as error:
            self.close()
            raise ServerUnavailable(
                f'{self._url} cannot be used: {_reason(error)}. Start the server and load the model, or correct url'
            ) from error
        except BaseException:
            self.close()
            raise
        self.device = f'{self._url} ({metadata.platform or "unknown platform"})'
        self.inputs = tuple(map(self._tensor_info, metadata.inputs))
        self.outputs = tuple(map(self._tensor_info, metadata.outputs))
        self._wanted = [o.name for o in self.outputs if outputs is None or o.name in outputs]

    def infer(self, tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Run the model on the server.

        Raises:
            DeadlineExceeded: no answer arrived in time.
            ServerUnavailable: the connection was lost, or the server no longer serves the model.
            InferenceError: the server reported an error, or the call was cancelled.
        """
        if self._client is None:
            raise InferenceError(f'{self._url} was used after close()')
        one = {each.name for each in self.inputs if each.shape == (1,)}  # Triton has no scalars
        tensors = {n: array.reshape(1) if array.ndim == 0 and n in one else array for n, array in tensors.items()}
        check_inputs(self._url, self.inputs, tensors)
        self._cancelled = False
        answers: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
        self._call = self._client.async_infer(
            self._options.address.model,
            [self._input(each, tensors[each.name]) for each in self.inputs],
            lambda result, error: answers.put((result, error)),
            outputs=[self._library.InferRequestedOutput(name) for name in self._wanted],
            headers=self._headers(),
            client_timeout=self._deadline_s,
        )
        result, error = answers.get()  # gRPC ends the call at the deadline
        self._call = None
        if error is not None:
            raise self._error(error)
        self._deadline_s = self._options.deadline_s
        return {name: self._array(result, name) for name in self._wanted}

    def cancel(self) -> None:
        """End the current call; the server is told to stop, and the runtime remains usable."""
        self._cancelled, call = True, self._call
        if call is not None:
            call.cancel()

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connect(self) -> Any:
        credentials = None
        if self._options.address.encrypted:
            import grpc

            credentials = grpc.ssl_channel_credentials(_certificates(self._options.ca_file))
        return self._library.InferenceServerClient(
            self._options.address.host, creds=credentials, channel_args=list(_CHANNEL)
        )

    def _headers(self) -> dict[str, str] | None:
        path = self._options.token_file
        if not path:
            return None
        token = _content('remote_token_file', path)
        if not token or not token.isprintable():
            raise ServerUnavailable(
                f"remote_token_file is '{path}', which is empty or has several lines; expected one token"
            )
        return {'authorization': f'Bearer {token}'}

    def _tensor_info(self, tensor: Any) -> TensorInfo:
        dtype = self._library.triton_to_np_dtype(tensor.datatype)
        shape = tuple(side if side >= 0 else None for side in tensor.shape)
        return TensorInfo(tensor.name, tensor.datatype if dtype is None else np.dtype(dtype).name, shape)

    def _input(self, info: TensorInfo, array: AnyArray) -> Any:
        datatype = self._library.np_to_triton_dtype(array.dtype)
        return self._library.InferInput(info.name, list(array.shape), datatype).set_data_from_numpy(array)

    def _array(self, result: Any, name: str) -> AnyArray:
        try:
            values = result.as_numpy(name)
        except ValueError as error:
            raise InferenceError(
                f'{self._url}: output {name} of the answer cannot be read: {error}. Check the model on the server'
            ) from error
        if values is None:
            raise InferenceError(f'{self._url}: the answer has no output {name}. Check the model on the server')
        return np.array(values)  # the array of the library cannot be written

    def _error(self, error: Any) -> InferenceError:
        status = _status(error)
        if status == 'DEADLINE_EXCEEDED':
            return DeadlineExceeded(
                f'{self._url} did not answer within {1e3 * self._deadline_s:g} ms. Check network and server, or '
                'increase remote_deadline_ms'
            )
        if status == 'CANCELLED' and not self._cancelled:
            return ServerUnavailable(f'{self._url} ended the call')
        kind = ServerUnavailable if status in _UNAVAILABLE else InferenceError
        return kind(f'{self._url}: {_reason(error)}')


def _tritonclient() -> Any:
    try:
        import tritonclient.grpc
    except ImportError as error:
        raise DeviceUnavailable(f'tritonclient is not installed ({error}): {install_command("remote")}') from error
    return tritonclient.grpc


def _certificates(path: str) -> bytes | None:
    """Return the content of a file of certificates; None = those that gRPC trusts.

    Raises:
        ServerUnavailable: the file cannot be read, or contains no certificates.
    """
    if not path:
        return None
    content = _content('remote_ca_file', path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content)
    except ssl.SSLError as error:
        raise ServerUnavailable(
            f"remote_ca_file is '{path}', which contains no certificates: {error}; expected PEM"
        ) from error
    return content.encode()


def _content(parameter: str, path: str) -> str:
    """Return the text in a file that a parameter names; errors do not contain it."""
    try:
        text = Path(path).expanduser().read_text(encoding='ascii').strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else 'it is not ASCII text'
        raise ServerUnavailable(f"{parameter} is '{path}', which cannot be read: {reason}") from None
    return text


def _status(error: Any) -> str:
    return str(error.status() or '').rpartition('.')[2]


def _reason(error: Any) -> str:
    """Return status and first line of an error of the server or of gRPC."""
    lines = str(error.message() or '').strip().splitlines()
    return f'{_status(error)}: {lines[0]}' if lines else _status(error)
