"""Regression test of a robot: depth from a recorded drive stays within limits. Run it with pytest.

Set ROBOT_BAG to a recording with left/right images, camera_info, and a topic of reference depth.
"""

import os
from pathlib import Path

import pytest

from depth_ros.bags.bag_processing import process_recording
from depth_ros.evaluation.recording_check import Reference, check_limits, measure, read_limits
from depth_ros.settings.node_settings import StereoSettings

BAG = Path(os.environ.get('ROBOT_BAG', 'robot_bag'))
SETTINGS = StereoSettings(quality='strict', range_min_m=0.5)


@pytest.mark.skipif(not BAG.exists(), reason=f'{BAG} does not exist: set ROBOT_BAG')
def test_depth_of_a_recorded_drive_is_within_limits(tmp_path: Path) -> None:
    process_recording(BAG, tmp_path / 'depth', SETTINGS, keep_inputs=True)
    figures = measure(tmp_path / 'depth', reference=Reference('/truth/depth', bag=BAG))
    results = check_limits(figures, read_limits(Path(__file__).with_name('depth_limits.yaml')))
    broken = [result.describe() for result in results if not result.kept]
    assert not broken, '; '.join(broken)
