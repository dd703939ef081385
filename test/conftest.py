"""Fixtures of all tests, and the folder of their helpers on the path."""

import sys
from pathlib import Path

import hypothesis
import pytest

from depth_ros.files.motorcycle import Motorcycle, load_motorcycle

# The setting pythonpath would do this, but not with the pytest 6.2 of Ubuntu 22.04.
sys.path.insert(0, str(Path(__file__).parent))

# A busy machine is no error: no example of a property is timed.
hypothesis.settings.register_profile('no_deadline', deadline=None)
hypothesis.settings.load_profile('no_deadline')


@pytest.fixture(scope='session')
def motorcycle() -> Motorcycle:
    return load_motorcycle()
