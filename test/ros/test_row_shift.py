"""Rows that no longer match, on a live graph: reported, and corrected with ``align_rows``."""

import numpy as np
import pytest
from graph import Graph, wait_for
from scenes import bent, pair

from depth_ros.pipeline import stereo_estimator

pytestmark = pytest.mark.ros
LEFT, RIGHT = pair(np.full((240, 320), 10.0, np.float32))


def valid_share(graph):
    return np.isfinite(np.frombuffer(graph.received['depth/image_rect'][-1].data, np.float32)).mean()


def send_until(graph, condition):
    """Publish pairs with a bent right image until the condition is true."""
    head, right = graph.head(), bent(RIGHT, 3.0)

    def sent():
        graph.send(left=graph.image(head, LEFT), right=graph.image(head, right))
        return graph.received['/diagnostics'] and condition(*graph.status()[1:])

    wait_for(sent, what=lambda: f'{graph.status()}')


def test_a_bent_rig_is_reported_and_its_depth_recovers_with_align_rows():
    parameters = {'max_rate_hz': 20.0, 'range_min_m': 1.0}
    with Graph(parameters, stereo_estimator, ('depth/image_rect',), width=320, height=240) as graph:
        graph.open_camera()
        send_until(graph, lambda text, values: 'rows of the right image' in text)
        level, text, values = graph.status()
        assert level == b'\1' and 'off by 3.00 px' in text and 'set align_rows: true' in text
        assert values['rows.state'] == 'measured' and values['rows.corrected'] == 'false'
        assert float(values['rows.off_px']) == pytest.approx(3.0, abs=0.03) and int(values['rows.matches']) > 100
        before = valid_share(graph)
        assert graph.set_parameters(align_rows=True).successful
        send_until(graph, lambda text, values: values.get('rows.corrected') == 'true')
        level, text, values = graph.status()
        assert level == b'\0' and 'rows' not in text
        assert float(values['rows.off_px']) == pytest.approx(3.0, abs=0.03)
        assert valid_share(graph) > before + 0.1


def test_a_scene_without_texture_is_stated_as_the_reason():
    with Graph(listen=('depth/image_rect',)) as graph:  # black images of 64x48
        graph.open_camera()
        graph.stream(3)
        wait_for(lambda: graph.received['/diagnostics'] and 'rows.why' in graph.status()[2])
        _, _, values = graph.status()
        assert values['rows.state'] == 'unknown' and values['rows.why'] and 'rows.off_px' not in values
