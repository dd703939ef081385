"""Whether the middleware carries large messages: Fast DDS's profile, shared memory, socket buffers."""

import os
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path

from depth_ros.doctor.finding import Finding
from depth_ros.files.installed_files import fastdds_profile

_DEFAULT_SEGMENT = 512 << 10
"""Of Fast DDS's shared memory; larger messages go through UDP, in pieces of 64 KiB."""
_ENOUGH_RMEM = 4 << 20
_MB = 1 << 20


def transport_findings(
    largest: str,
    largest_bytes: int,
    environment: Mapping[str, str] = os.environ,
    shared_memory: Path = Path('/dev/shm'),
    rmem_max: Path = Path('/proc/sys/net/core/rmem_max'),
) -> Iterator[Finding]:
    """Look at what this process, and all that are started like it, would use.

    Args:
        largest: What the largest message is, in words.
        largest_bytes: Its size; 0 if it is not known.
        environment: Where the profile is named.
        shared_memory: File system of the segments.
        rmem_max: The kernel's largest socket buffer.
    """
    rmw = environment.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp')
    size = f'{largest} has {largest_bytes / _MB:.1f} MB'
    if not largest_bytes:
        yield Finding('ok', 'transport', rmw, 'no image has come, so the size of messages is not known')
        return
    if largest_bytes <= _DEFAULT_SEGMENT:
        yield Finding('ok', 'transport', rmw, f'{size}: any transport carries that')
        return
    if 'fastrtps' not in rmw:
        yield _sockets(rmem_max, size) or Finding('ok', 'transport', rmw, f'{size}; socket buffers are large enough')
        return
    variable, ours = fastdds_profile()
    profile = environment.get(variable, '')
    fix = f'export {variable}={ours} for the driver, the node and who subscribes (our launch files do it for the node)'
    lost = 'Fast DDS cuts it into 64 KiB pieces over UDP: frames arrive rarely, late or never'
    if not profile:
        yield Finding('warning', 'transport', variable, f'{size}, and no Fast DDS profile is set', lost, fix)
        socket = _sockets(rmem_max, size)
        if socket:
            yield socket
        return
    try:
        root = ElementTree.parse(profile).getroot()
        segment = max((int(e.text or 0) for e in root.iter() if e.tag.endswith('segment_size')), default=0)
    except (OSError, ElementTree.ParseError, ValueError) as error:
        yield Finding('fault', 'transport', profile, f'it cannot be read: {error}', 'Fast DDS ignores it', fix)
        return
    if segment < largest_bytes:
        yield Finding('warning', 'transport', profile, f'its segment_size is {segment / _MB:.1f} MB; {size}', lost, fix)
        return
    free = shutil.disk_usage(shared_memory).free if shared_memory.exists() else 0
    if free < segment:
        yield Finding(
            'warning',
            'transport',
            str(shared_memory),
            f'{free / _MB:.0f} MB are free, a segment needs {segment / _MB:.0f} MB',
            f'without it: {lost}',
            f'docker run --shm-size=512m, or mount -o remount,size=512m {shared_memory}',
        )
        return
    yield Finding('ok', 'transport', profile, f'{size}, and shared memory holds {segment / _MB:.0f} MB')


def _sockets(rmem_max: Path, size: str) -> Finding | None:
    try:
        most = int(rmem_max.read_text())
    except (OSError, ValueError):
        return None
    if most >= _ENOUGH_RMEM:
        return None
    return Finding(
        'warning',
        'transport',
        'net.core.rmem_max',
        f'it is {most} bytes; {size}',
        'pieces of large messages are lost in the socket',
        f'sudo sysctl -w net.core.rmem_max={_ENOUGH_RMEM}',
    )
