"""The parameter `threads` of a running node, measured by the threads of the process."""

import psutil
import pytest
from graph import MonoGraph, wait_for
from tiny_model import model

from depth_ros.pipeline import mono_estimator

pytestmark = pytest.mark.ros
DEPTH = 'depth/image_rect'


def test_a_changed_number_of_threads_takes_effect_and_the_old_threads_end(tmp_path):
    process = psutil.Process()
    with MonoGraph({'model': str(model(tmp_path)), 'threads': 1}, mono_estimator, listen=(DEPTH,)) as graph:
        graph.open_camera()
        graph.send()
        graph.wait_for_messages(DEPTH)
        with_one = process.num_threads()
        for threads in (4, 1):
            assert graph.set_parameters('mono_depth', threads=threads).successful
            wait_for(
                lambda expected=with_one + threads - 1: (
                    graph.stream(1, rate_hz=20.0) and process.num_threads() == expected
                ),
                what=f'threads: {threads} gave {process.num_threads()} threads, {with_one} with threads: 1',
            )
