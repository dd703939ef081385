"""ROS domains that nobody else on this machine uses, so that tests run beside somebody's nodes and beside other tests."""

import os
import random
import socket
from pathlib import Path

_CANDIDATES = range(1, 101)
"""Domain 0 is everybody's default; from 102 on the ports are those that Linux gives to clients."""
_REDIRECTING = (
    'ROS_STATIC_PEERS', 'ROS_DISCOVERY_SERVER', 'ROS_SUPER_CLIENT', 'ROS_EASY_MODE', 'ROS_SECURITY_ENABLE', 'ROS_NAMESPACE',
    'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE', 'CYCLONEDDS_URI',
)  # fmt: skip
"""Variables of a user that would connect tests to other graphs, or change how they connect."""

_reserved: dict[int, socket.socket] = {}
_order = random.Random(os.getpid()).sample(_CANDIDATES, len(_CANDIDATES))


def next_domain() -> int:
    """Reserve a domain without nodes until ``release_domain`` or the end of this process."""
    for _ in range(len(_order)):
        _order.append(domain := _order.pop(0))
        if domain in _reserved:
            continue
        # An abstract address belongs to one process of a network namespace, and ends with it whatever happens.
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f'\0depth_ros_test_domain_{domain}')
        except OSError:
            reservation.close()
            continue
        if not _ports_of(domain) & _bound_ports():
            _reserved[domain] = reservation
            return domain
        reservation.close()
    raise RuntimeError(
        f'No ROS domain in {_CANDIDATES} is free on this machine: end some of the nodes and tests that run'
    )


def release_domain(domain: int) -> None:
    """Let others use a domain again."""
    _reserved.pop(domain).close()


def free_port() -> int:
    """Return a TCP port that nobody uses."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return int(listener.getsockname()[1])


def isolated_environment(domain: int) -> dict[str, str]:
    """Return the variables of a process that finds only nodes of this machine and of this domain."""
    return {
        **{name: value for name, value in os.environ.items() if name not in _REDIRECTING},
        'ROS_DOMAIN_ID': str(domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_LOCALHOST_ONLY': '1',  # the same for Humble
    }


def isolate(domain: int) -> None:
    """Make that this process's environment, for nodes in it and for what it starts."""
    for name in _REDIRECTING:
        os.environ.pop(name, None)
    os.environ.update(isolated_environment(domain))


def _ports_of(domain: int) -> set[int]:
    """Return the UDP ports that the RTPS specification gives to a domain."""
    first = 7400 + 250 * domain
    return set(range(first, first + 250))


def _bound_ports() -> set[int]:
    files = [Path(f'/proc/net/{name}') for name in ('udp', 'udp6')]
    lines = [line for file in files if file.exists() for line in file.read_text().splitlines()[1:]]
    return {int(line.split()[1].rpartition(':')[2], 16) for line in lines}
