"""What the C library does with the memory of images that are no longer needed."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> None:
    """Let the C library keep the memory of images that were freed, for the next image.

    By default glibc returns blocks of that size to the kernel and gets them back zeroed, page by page: at 1280x720 this
    costs more than filling them (docs/performance.md).
    """
    if sys.platform == 'linux':
        libc = ctypes.CDLL(None)
        if hasattr(libc, 'mallopt'):
            libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20)
            libc.mallopt(_M_TRIM_THRESHOLD, 1 << 30)
