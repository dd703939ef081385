"""GPU and TensorRT of this machine, read from their own libraries; no Python package is needed."""

import ctypes
from dataclasses import dataclass

from depth_ros.errors import DeviceUnavailable

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…, cuda.h
_NVINFER = ('libnvinfer.so.10', 'libnvinfer.so.11', 'libnvinfer.so.8', 'libnvinfer.so')


@dataclass(frozen=True)
class Gpu:
    """The GPU and the version of TensorRT that an engine is compiled for."""

    name: str
    compute_capability: str
    tensorrt: str
    """Version of TensorRT, such as 10.3.0."""

    @property
    def tensorrt_major(self) -> int:
        """Major version of TensorRT."""
        return int(self.tensorrt.partition('.')[0])


def cuda_device_count() -> int | None:
    """Return the number of CUDA devices that this process can use; None if the driver is unavailable."""
    count = ctypes.c_int()
    try:
        cuda = ctypes.CDLL('libcuda.so.1')
    except OSError:
        return None
    return None if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)) else count.value


def check_device_id(device_id: int, count: int | None) -> None:
    """Compare a device number with the number of CUDA devices.

    Args:
        device_id: The number, counted from 0.
        count: Number of devices; None or 0 = unknown, so that the library will report the problem.

    Raises:
        DeviceUnavailable: there is no such device.
    """
    if count and device_id >= count:
        expected = '0' if count == 1 else f'0 to {count - 1}'
        raise DeviceUnavailable(
            f'device_id is {device_id}; expected {expected}, because this process can use {count} CUDA '
            f'device{"s" if count > 1 else ""} (nvidia-smi -L lists the devices of the machine). Correct device_id, or '
            'set device: cpu'
        )


def find_gpu(device: int = 0) -> Gpu | None:
    """Return the GPU with a CUDA device number; None if the GPU, its driver or TensorRT is unavailable."""
    tensorrt = _tensorrt_version()
    described = _described(device)
    return Gpu(*described, tensorrt) if tensorrt and described else None


def gpu_name(device: int = 0) -> str | None:
    """Return the name of the GPU with a CUDA device number; None if the GPU or its driver is unavailable."""
    described = _described(device)
    return described[0] if described else None


def _described(device: int) -> tuple[str, str] | None:
    """Return name and compute capability of a GPU."""
    try:
        cuda = ctypes.CDLL('libcuda.so.1')
    except OSError:
        return None
    handle, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    failed = (
        cuda.cuInit(0)
        or cuda.cuDeviceGet(ctypes.byref(handle), device)
        or cuda.cuDeviceGetName(name, len(name), handle)
        or cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, handle)
        or cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, handle)
    )
    if failed:
        return None
    return name.value.decode(errors='replace'), f'{major.value}.{minor.value}'


def _tensorrt_version() -> str | None:
    for library in _NVINFER:
        try:
            number = int(ctypes.CDLL(library).getInferLibVersion())
        except (OSError, AttributeError):
            continue
        return version_of(number)
    return None


def version_of(number: int) -> str:
    """Return the version for a number of ``getInferLibVersion``: 8601 → 8.6.1, 100300 → 10.3.0 (NvInferVersion.h)."""
    if number < 10000:
        return f'{number // 1000}.{number // 100 % 10}.{number % 100}'
    return f'{number // 10000}.{number // 100 % 100}.{number % 100}'
