"""The two cameras of a running node have different exposures."""

import numpy as np
import pytest
from graph import Graph, wait_for
from scenes import pair, texture

from depth_ros.pipeline import stereo_estimator
from depth_ros.ros.diagnostics import OK, WARN
from depth_ros.ros.exposure_watch import ExposureWatch
from depth_ros.types import Camera, StereoFrame, StereoRig


def frame(left, right):
    camera = Camera(left.shape[1], left.shape[0], 100.0, 100.0, 50.0, 50.0)
    return StereoFrame(left, right, StereoRig(camera, 50.0, 0.1))


def test_a_difference_is_reported_when_it_persists_and_until_it_ends():
    image = texture(120, 320)
    equal, different = frame(image, image), frame(image, image // 2)
    watch = ExposureWatch()
    assert not watch.update(equal, 0.0) and not watch.values
    assert not watch.update(different, 0.9), 'measured at most once per second'
    assert not watch.update(equal, 1.0)
    assert not watch.update(different, 2.0), 'one flash is no difference'
    assert watch.values == {'exposure.brightness_ratio': '1.000', 'exposure.contrast_ratio': '1.000'}
    warning = watch.update(different, 3.0)
    assert 'times as bright as the left image' in warning and 'hardware trigger' in warning
    assert 'the matcher compensates it except where one of the images is saturated or black' in warning
    assert watch.warning == warning and watch.values['exposure.contrast_ratio'].startswith('0.5')
    watch.update(equal, 4.0)
    assert not watch.update(equal, 5.0) and not watch.warning


def test_black_frames_leave_the_last_measurement_in_place():
    image = texture(120, 320)
    watch = ExposureWatch()
    for second in range(3):
        watch.update(frame(image, image // 2), float(second))
    black = np.zeros_like(image)
    assert not watch.update(frame(black, black), 3.0) and watch.warning


@pytest.mark.ros
@pytest.mark.slow
def test_diagnostics_say_that_the_exposures_differ_what_to_do_and_when_it_is_over():
    left, right = pair(np.linspace(6, 12, 160, dtype=np.float32) * np.ones((120, 1), np.float32))
    with Graph({'range_min_m': 2.0}, stereo_estimator, width=160, height=120) as graph:
        graph.open_camera()
        wait_for(lambda: graph.received['/diagnostics'], what=lambda: 'no diagnostics received')

        def send_until(level, darker):
            def reported():
                images = left, (right // 2 if darker else right)
                messages = (graph.image(graph.head(), image) for image in images)
                graph.stream(10, **dict(zip(('left', 'right'), messages, strict=True)))
                state, text, values = graph.status()
                return state == level and 'exposure.brightness_ratio' in values and (text, values)

            return wait_for(reported, what=lambda: f'{graph.status()}')

        text, values = send_until(WARN, darker=True)
        assert 'the right image is 0.50 times as bright as the left image' in text
        assert 'Use one exposure and gain for both cameras' in text and 'hardware trigger' in text
        assert float(values['exposure.contrast_ratio']) == pytest.approx(0.5, abs=0.02)
        assert int(values['published']) > 0 and 'exposure' in values['caution']
        _, values = send_until(OK, darker=False)
        assert float(values['exposure.brightness_ratio']) == pytest.approx(1.0, abs=0.02)
        assert 'caution' not in values
