"""Page-locked memory and queries of a GPU.

A library with the functions of the CUDA driver replaces it; it allocates ordinary memory.
"""

import ctypes
import gc
import shutil
import subprocess

import numpy as np
import onnxruntime
import pytest
from tiny_model import mean_of_channels

from depth_ros.networks.runtimes import cuda_device as module
from depth_ros.networks.runtimes.cuda_device import CudaDevice, cuda_device
from depth_ros.networks.runtimes.device_binding import BoundSession
from depth_ros.networks.runtimes.runtime import TensorInfo

# The prototypes are those of cuda.h.
DRIVER = r"""
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
int pushed = 0, allocated = 0, copies = 0, fail = 0;
static int context;
int cuInit(unsigned int flags) { return flags != 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 40 + ordinal; return ordinal > 1 ? 101 : 0; }
int cuDevicePrimaryCtxRetain(void **out, int device) { *out = &context; return device < 40; }
int cuCtxPushCurrent_v2(void *given) { pushed++; return given != &context; }
int cuCtxPopCurrent_v2(void **out) { pushed--; *out = &context; return 0; }
int cuMemHostAlloc(void **out, size_t size, unsigned int flags) {
    if (fail || !pushed || flags != 1) return 2;
    *out = malloc(size); allocated++; return 0;
}
int cuMemFreeHost(void *memory) { if (!pushed) return 1; free(memory); allocated--; return 0; }
int cuMemcpyDtoH_v2(void *host, uint64_t device, size_t size) {
    if (fail || !pushed) return 719;
    memcpy(host, (void *)device, size); copies++; return 0;
}
int cuMemGetInfo_v2(size_t *free, size_t *total) { *free = 5ull << 30; *total = 8ull << 30; return !pushed; }
"""


@pytest.fixture(scope='module')
def driver(tmp_path_factory):
    compiler = shutil.which('cc')
    if compiler is None:
        pytest.skip('no C compiler')
    folder = tmp_path_factory.mktemp('driver')
    (folder / 'driver.c').write_text(DRIVER)
    library = folder / 'libcuda.so'
    subprocess.run([compiler, '-shared', '-fPIC', '-o', library, folder / 'driver.c'], check=True)
    return ctypes.CDLL(str(library))


def value(driver, name):
    return ctypes.c_int.in_dll(driver, name)


@pytest.fixture
def gpu(driver):
    yield CudaDevice(driver, 1)
    value(driver, 'fail').value = 0
    gc.collect()
    assert value(driver, 'pushed').value == 0


def test_an_array_is_allocated_by_the_driver_and_released_with_its_last_view(driver, gpu):
    array = gpu.page_locked_array((2, 3, 5), 'float16')
    assert array.shape == (2, 3, 5) and array.dtype == np.float16 and array.flags.writeable
    part = array[1:, :2]
    array[:] = 7
    del array
    gc.collect()
    assert value(driver, 'allocated').value == 1 and (part == 7).all()
    del part
    gc.collect()
    assert value(driver, 'allocated').value == 0


def test_values_are_copied_from_an_address_of_64_bits(gpu):
    source = np.arange(1 << 20, dtype=np.float32)  # the allocator places it beyond the first 4 GB
    assert source.ctypes.data >> 32
    array = gpu.page_locked_array(source.shape, np.float32)
    gpu.copy_from_device(array, source.ctypes.data)
    np.testing.assert_array_equal(array, source)


def test_memory_in_use_is_that_which_is_not_free(gpu):
    assert gpu.used_memory_mb() == 3 * 1024


def test_errors_of_the_driver_have_the_form_of_onnx_runtime_s(driver, gpu):
    array = gpu.page_locked_array((4,), np.float32)
    value(driver, 'fail').value = 1
    with pytest.raises(RuntimeError, match='CUDA failure 719: cuMemcpyDtoH_v2'):
        gpu.copy_from_device(array, array.ctypes.data)
    with pytest.raises(RuntimeError, match='CUDA failure 2: cuMemHostAlloc'):
        gpu.page_locked_array((4,), np.float32)
    with pytest.raises(RuntimeError, match='CUDA failure 101: cuDeviceGet'):
        CudaDevice(driver, 2)


def test_a_session_sends_and_receives_with_it_and_results_are_ordinary_arrays(driver, gpu, tmp_path):
    path = mean_of_channels(tmp_path / 'mean.onnx')
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    copies = value(driver, 'copies').value
    runs = BoundSession(onnxruntime, session, (TensorInfo('depth', 'float32', ()),), 'cpu', gpu=gpu)
    given = [np.random.default_rng(i).random((1, 3, 48, 64), np.float32) for i in range(5)]
    found = [runs.run({'image': image}, onnxruntime.RunOptions())['depth'] for image in given]
    for image, depth in zip(given, found, strict=True):
        np.testing.assert_array_equal(depth, session.run(['depth'], {'image': image})[0])
    assert value(driver, 'copies').value == copies + 5 and value(driver, 'allocated').value == 2
    del runs
    gc.collect()
    assert value(driver, 'allocated').value == 0 and np.isfinite(found[0]).all()


@pytest.mark.parametrize('missing', ['library', 'function', 'device'])
def test_without_the_driver_ordinary_memory_is_used(driver, monkeypatch, missing):
    def load(name):
        if missing == 'library':
            raise OSError(f'{name}: cannot open shared object file')
        return driver

    monkeypatch.setattr(module.ctypes, 'CDLL', load)
    if missing == 'function':
        monkeypatch.setitem(module._ARGUMENTS, 'cuNoSuchFunction', ())
    cuda_device.cache_clear()
    assert cuda_device(5) is None
    cuda_device.cache_clear()
