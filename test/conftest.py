"""Fixtures of all tests, and the folder of their helpers on the path."""

import sys
from pathlib import Path

import hypothesis
import pytest

# The setting pythonpath would do this, but not with the pytest 6.2 of Ubuntu 22.04.
sys.path.insert(0, str(Path(__file__).parent))

from domains import isolate, next_domain

from depth_ros.evaluation.motorcycle_pair import Motorcycle, load_motorcycle
from depth_ros.networks.runtimes.onnx_runtime import OnnxRuntime
from depth_ros.networks.runtimes.registry import RUNTIMES

# A busy machine is no error: no example of a property is timed.
hypothesis.settings.register_profile('no_deadline', deadline=None)
hypothesis.settings.load_profile('no_deadline')


class CountedBackend(OnnxRuntime):
    """The real backend; counts how often it is closed, and cannot be used afterwards."""

    times_closed = 0

    def infer(self, tensors):
        assert self.times_closed == 0, 'used after close()'
        return super().infer(tensors)

    def close(self):
        self.times_closed += 1
        super().close()


@pytest.fixture
def opened_backends(monkeypatch):
    """Return the backends that networks are loaded into, in order."""
    opened = []

    class Backend(CountedBackend):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            opened.append(self)

    monkeypatch.setitem(RUNTIMES, 'onnxruntime', Backend)
    return opened


@pytest.fixture(scope='session')
def motorcycle() -> Motorcycle:
    return load_motorcycle()


@pytest.fixture(scope='session', autouse=True)
def isolated() -> None:
    """Keep what tests start away from nodes that run on this machine or in its network, whoever forgets it."""
    isolate(next_domain())
