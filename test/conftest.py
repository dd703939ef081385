"""Fixtures of all tests."""

import pytest
from domains import isolate, next_domain

from depth_ros.files.motorcycle import Motorcycle, load_motorcycle


@pytest.fixture(scope='session')
def motorcycle() -> Motorcycle:
    return load_motorcycle()


@pytest.fixture(scope='session', autouse=True)
def isolated() -> None:
    """Keep what tests start away from nodes that run on this machine or in its network, whoever forgets it."""
    isolate(next_domain())
