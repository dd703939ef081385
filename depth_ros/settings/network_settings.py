"""Parameters of the network that a node uses, on this machine or on an inference server."""

import re
from dataclasses import dataclass

from depth_ros.settings.frame_settings import FrameSettings
from depth_ros.settings.parameter_table import parameter
from depth_ros.settings.server_address import ServerAddress, parse_url


@dataclass(frozen=True)
class NetworkSettings(FrameSettings):
    """The network, its device and its inference server."""

    model: str = parameter(
        '',
        'Network: id of a model (depth-ros models list), or path of a manifest or model file. Without a network, '
        'stereo_depth uses semi-global matching.',
        rebuilds=('network',),
    )
    device: str = parameter(
        'auto',
        'Device on which the network runs; auto = the best installed one of cuda, openvino and cpu, remote = the '
        'inference server at url.',
        choices=('auto', 'tensorrt', 'cuda', 'openvino', 'cpu', 'remote'),
        rebuilds=('network',),
    )
    device_id: int = parameter(
        0,
        'Number of the CUDA device on which the network runs; with device: openvino, 0 = its default device and n > 0 '
        '= its device GPU.n. It has no effect on the CPU.',
        minimum=0,
        maximum=255,
        rebuilds=('network',),
    )
    allow_fallback: bool = parameter(
        False,
        'Run the network on the CPU if the device is unavailable; false = report an error.',
        rebuilds=('network',),
    )
    threads: int = parameter(
        0,
        'CPU threads used for inference; 0 = number of cores - 1.',
        minimum=0,
        maximum=256,
        rebuilds=('network',),
    )
    memory_limit_mb: int = parameter(
        0,
        'Maximum GPU memory used by the network; 0 = no limit.',
        unit='MB',
        minimum=0,
        maximum=1000000,
        rebuilds=('network',),
    )
    precision: str = parameter(
        'fp32',
        'Precision of inference with device: tensorrt. fp16 is faster; its result for a stored image is compared '
        'with fp32 when the network is loaded. With other devices the model file sets the precision (depth-ros '
        'models export --fp16).',
        choices=('fp32', 'fp16'),
        rebuilds=('network',),
    )
    image_size: str = parameter(
        '',
        'Input size WxH of a network that accepts any size, prepared when the network is loaded; images of other '
        'sizes are resized to it. Empty = size of the first image, or 640x480 with device: tensorrt.',
        rebuilds=('network',),
    )
    graph_optimization: str = parameter(
        'all',
        'Graph optimization level of ONNX Runtime; use a lower level if a fused operator gives wrong results.',
        choices=('all', 'extended', 'basic', 'none'),
        rebuilds=('network',),
    )
    on_device_lost: str = parameter(
        'stay',
        'Action when the GPU is lost, which only a new process can use again. stay: report the error and continue. '
        'exit: exit with code 1, so that a launch file with respawn restarts the node.',
        choices=('stay', 'exit'),
    )
    commercial_only: bool = parameter(
        False,
        'Reject models whose licence does not clearly permit commercial use.',
        read_only=True,
        rebuilds=('network',),
    )
    allow_simulator_model: bool = parameter(
        False,
        'Accept models that are valid for simulated images only. On images of a real camera their depth is '
        'meaningless; /diagnostics shows a warning while such a model is in use.',
        read_only=True,
        rebuilds=('network',),
    )
    url: str = parameter(
        '',
        'Inference server and the name of the model on it, for device: remote, as grpc://host:8001/model or, encrypted '
        'with TLS, as grpcs://host:8001/model. The server speaks the Open Inference Protocol (docs/remote.md).',
        rebuilds=('network',),
    )
    remote_deadline_ms: float = parameter(
        500.0,
        'Maximum time for one call of the inference server; a frame without an answer is dropped.',
        unit='ms',
        minimum=1.0,
        maximum=600000.0,
        rebuilds=('network',),
    )
    remote_ca_file: str = parameter(
        '',
        'File of the certificates (PEM) that are trusted for grpcs://; empty = those that gRPC trusts.',
        rebuilds=('network',),
    )
    remote_token_file: str = parameter(
        '',
        'File that contains the access token for the inference server; grpcs:// only. The file is read for every call.',
        rebuilds=('network',),
    )
    fallback_model: str = parameter(
        '',
        'Network on this machine that is used with device: remote while the inference server is unavailable; empty = '
        'no depth in this time.',
        rebuilds=('network',),
    )

    @property
    def server(self) -> ServerAddress:
        """The inference server.

        Raises:
            ValueError: ``url`` is invalid; the settings of a node with ``device: remote`` are checked.
        """
        return parse_url(self.url)

    def _contradictions(self) -> list[str]:
        problems = super()._contradictions()
        if self.image_size and not re.fullmatch(r'[1-9]\d{1,4}x[1-9]\d{1,4}', self.image_size):
            problems.append(f"image_size is '{self.image_size}'; expected WxH such as 640x480, or an empty text")
        if self.device != 'remote':
            return problems
        try:
            encrypted = self.server.encrypted
        except ValueError as error:
            return [*problems, f'device is remote and {error}']
        for name, value in (
            ('remote_ca_file', self.remote_ca_file),
            ('remote_token_file', self.remote_token_file),
        ):
            if value and not encrypted:
                problems.append(
                    f"{name} is '{value}' and url is '{self.url}'; expected grpcs://, because grpc:// is not encrypted"
                )
        return problems
