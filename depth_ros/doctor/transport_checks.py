"""Checks of the middleware for large messages: Fast DDS profile, shared memory, socket buffers."""

import os
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path

from depth_ros.doctor.finding import Finding
from depth_ros.files.installed_files import fastdds_profile

_DEFAULT_SEGMENT = 512 << 10
"""Default size of a shared memory segment of Fast DDS; larger messages use UDP, in fragments of 64 KiB."""
_MIN_RMEM = 4 << 20
_MB = 1 << 20


def transport_findings(
    largest: str,
    largest_bytes: int,
    environment: Mapping[str, str] = os.environ,
    shared_memory: Path = Path('/dev/shm'),
    rmem_max: Path = Path('/proc/sys/net/core/rmem_max'),
) -> Iterator[Finding]:
    """Check the transport that processes with this environment use.

    Args:
        largest: Description of the largest message, such as 'a cloud'.
        largest_bytes: Size of the largest message; 0 if unknown.
        environment: Environment variables, which name the middleware and the profile.
        shared_memory: File system of the shared memory segments.
        rmem_max: File with the largest size of a socket buffer that the kernel permits.
    """
    rmw = environment.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp')
    size = f'{largest} has {largest_bytes / _MB:.1f} MB'
    if not largest_bytes:
        yield Finding('ok', 'transport', rmw, 'no image received, so the size of the messages is unknown')
        return
    if largest_bytes <= _DEFAULT_SEGMENT:
        yield Finding('ok', 'transport', rmw, f'{size}, which every transport supports')
        return
    if 'fastrtps' not in rmw:
        yield _sockets(rmem_max, size) or Finding('ok', 'transport', rmw, f'{size}; socket buffers are large enough')
        return
    variable, our_profile = fastdds_profile()
    profile = environment.get(variable, '')
    fix = (
        f'export {variable}={our_profile} for the driver, the node and all subscribers (the launch files set it for '
        'the node)'
    )
    consequence = 'Fast DDS sends it over UDP in fragments of 64 KiB: frames are delayed or lost'
    if not profile:
        yield Finding('warning', 'transport', variable, f'{size}, and no Fast DDS profile is set', consequence, fix)
        socket = _sockets(rmem_max, size)
        if socket:
            yield socket
        return
    try:
        root = ElementTree.parse(profile).getroot()
        segment = max((int(e.text or 0) for e in root.iter() if e.tag.endswith('segment_size')), default=0)
    except (OSError, ElementTree.ParseError, ValueError) as error:
        yield Finding('fault', 'transport', profile, f'cannot be read: {error}', 'Fast DDS ignores the file', fix)
        return
    if segment < largest_bytes:
        what = f'segment_size is {segment / _MB:.1f} MB; {size}'
        yield Finding('warning', 'transport', profile, what, consequence, fix)
        return
    free = shutil.disk_usage(shared_memory).free if shared_memory.exists() else 0
    if free < segment:
        yield Finding(
            'warning',
            'transport',
            str(shared_memory),
            f'{free / _MB:.0f} MB are free, a segment needs {segment / _MB:.0f} MB',
            f'without shared memory {consequence}',
            f'docker run --shm-size=512m, or mount -o remount,size=512m {shared_memory}',
        )
        return
    yield Finding('ok', 'transport', profile, f'{size}; a shared memory segment has {segment / _MB:.0f} MB')


def _sockets(rmem_max: Path, size: str) -> Finding | None:
    try:
        max_bytes = int(rmem_max.read_text())
    except (OSError, ValueError):
        return None
    if max_bytes >= _MIN_RMEM:
        return None
    return Finding(
        'warning',
        'transport',
        'net.core.rmem_max',
        f'{max_bytes} bytes; {size}',
        'fragments of large messages are lost when the socket buffer is full',
        f'sudo sysctl -w net.core.rmem_max={_MIN_RMEM}',
    )
