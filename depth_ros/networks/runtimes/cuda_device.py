"""One GPU, through the CUDA driver: page-locked memory, copies from the GPU, and memory in use.

A GPU copies from and to page-locked memory of the host directly, without the driver's intermediate buffer. The
functions are those of the CUDA Driver API; they use the primary context, as does the CUDA runtime of ONNX Runtime.
"""

import ctypes
import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from depth_ros.types import AnyArray

_PORTABLE = 1  # CU_MEMHOSTALLOC_PORTABLE, cuda.h: page-locked for the contexts of all GPUs
_POINTER, _SIZE, _ADDRESS = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64
_ARGUMENTS = {
    'cuInit': (ctypes.c_uint,),
    'cuDeviceGet': (ctypes.POINTER(ctypes.c_int), ctypes.c_int),
    'cuDevicePrimaryCtxRetain': (ctypes.POINTER(_POINTER), ctypes.c_int),
    'cuCtxPushCurrent_v2': (_POINTER,),
    'cuCtxPopCurrent_v2': (ctypes.POINTER(_POINTER),),
    'cuMemHostAlloc': (ctypes.POINTER(_POINTER), _SIZE, ctypes.c_uint),
    'cuMemFreeHost': (_POINTER,),
    'cuMemcpyDtoH_v2': (_POINTER, _ADDRESS, _SIZE),
    'cuMemGetInfo_v2': (ctypes.POINTER(_SIZE), ctypes.POINTER(_SIZE)),
}


class CudaDevice:
    """A GPU.

    Args:
        cuda: The library of the driver.
        device_id: CUDA device number.

    Raises:
        RuntimeError: the driver refused a call.
        AttributeError: the library lacks a function.
    """

    def __init__(self, cuda: Any, device_id: int) -> None:
        for name, types in _ARGUMENTS.items():
            getattr(cuda, name).argtypes = types  # otherwise addresses would be cut to 32 bits
        self._cuda = cuda
        self._context = ctypes.c_void_p()
        device = ctypes.c_int()
        self._call('cuInit', 0)
        self._call('cuDeviceGet', ctypes.byref(device), device_id)
        self._call('cuDevicePrimaryCtxRetain', ctypes.byref(self._context), device)

    def page_locked_array(self, shape: tuple[int, ...], dtype: DTypeLike) -> AnyArray:
        """Return an array of unspecified values; its memory is released with the last view of it.

        Raises:
            RuntimeError: the driver has no such memory.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        address = ctypes.c_void_p()
        with self._current():
            self._call('cuMemHostAlloc', ctypes.byref(address), max(size, 1), _PORTABLE)
        memory = (ctypes.c_byte * size).from_address(address.value or 0)
        weakref.finalize(memory, self._free, address).atexit = False  # the driver ends with the process
        array: AnyArray = np.frombuffer(memory, dtype).reshape(shape)  # type: ignore[call-overload,unused-ignore]
        return array

    def copy_from_device(self, array: AnyArray, address: int) -> None:
        """Fill an array with the values at an address of the GPU; return when they have arrived.

        Raises:
            RuntimeError: the driver refused the copy.
        """
        with self._current():
            self._call('cuMemcpyDtoH_v2', array.ctypes.data, address, array.nbytes)

    def used_memory_mb(self) -> float:
        """Return the memory of the GPU that is in use by all processes, MiB.

        Raises:
            RuntimeError: the driver refused the query.
        """
        free, total = _SIZE(), _SIZE()
        with self._current():
            self._call('cuMemGetInfo_v2', ctypes.byref(free), ctypes.byref(total))
        return (total.value - free.value) / 2**20

    def _free(self, address: ctypes.c_void_p) -> None:
        with self._current():
            self._cuda.cuMemFreeHost(address)

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Make the primary context current in this thread."""
        self._call('cuCtxPushCurrent_v2', self._context)
        try:
            yield
        finally:
            self._cuda.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))

    def _call(self, name: str, *arguments: object) -> None:
        error = getattr(self._cuda, name)(*arguments)
        if error:
            raise RuntimeError(f'CUDA failure {error}: {name}')  # the form of the errors of ONNX Runtime


@cache
def cuda_device(device_id: int) -> CudaDevice | None:
    """Return a GPU; None if the driver is missing or refuses it."""
    try:
        return CudaDevice(ctypes.CDLL('libcuda.so.1'), device_id)
    except (OSError, AttributeError, RuntimeError):
        return None
