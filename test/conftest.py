"""Fixtures of all tests."""

import pytest

from depth_ros.files.motorcycle import Motorcycle, load_motorcycle


@pytest.fixture(scope='session')
def motorcycle() -> Motorcycle:
    return load_motorcycle()
