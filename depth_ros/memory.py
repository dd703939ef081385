"""Reuse of freed memory by the C library."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> None:
    """Configure the C library to keep the memory of freed images for the next image.

    By default glibc returns blocks of this size to the kernel, which zeroes each page again when it is next used. At
    1280x720 this takes longer than writing the pixels (docs/performance.md).
    """
    if sys.platform == 'linux':
        libc = ctypes.CDLL(None)
        if hasattr(libc, 'mallopt'):
            libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20)
            libc.mallopt(_M_TRIM_THRESHOLD, 1 << 30)
