"""Check of /dev/shm before rclpy is imported, because Fast DDS ends the process on loading if it is full."""

import os
import shutil

_MIN_FREE = 64 << 10


def full_shared_memory(folder: str = '/dev/shm') -> str:
    """Return the problem if Fast DDS would end this process with SIGBUS on loading; otherwise an empty string.

    With more free space, but not enough for its segments, Fast DDS logs this and uses UDP only.
    """
    if 'fastrtps' not in os.environ.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp'):
        return ''
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return ''
    if free >= _MIN_FREE:
        return ''
    return (
        f'{folder} has {free} bytes free; Fast DDS needs at least {_MIN_FREE}. Remove the files '
        'of killed processes (fastdds shm clean), or increase its size (docker run --shm-size=512m)'
    )
