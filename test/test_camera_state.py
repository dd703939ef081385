"""State of cameras between frames: with five cameras in turn, no table is computed twice."""

from dataclasses import replace

import numpy as np
import pytest
from bag_files import BagWriter, image, info
from scenes import calibrations, texture
from tiny_model import model

from depth_ros.bags.bag_processing import process_recording
from depth_ros.camera_state import CameraState
from depth_ros.geometry import Band, Mount
from depth_ros.pipeline import cloud, mono_frame, stereo_frame
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.stages import pixel_rays, rectify
from depth_ros.stages.navigation import clearing_points, scan
from depth_ros.types import Camera, DepthMap

IMAGE = texture(240, 320)


@pytest.fixture
def computed(monkeypatch):
    """Return the name of a table for every time that it was computed."""
    names = []

    def count(module, name):
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *arguments: names.append(name) or function(*arguments))

    for name in ('_slopes', '_forward', '_sectors'):
        count(pixel_rays, name)
    count(rectify, '_maps')
    return names


def test_five_mono_cameras_compute_their_rectification_maps_once(computed):
    settings = MonoSettings(rectify=True)
    infos = [replace(calibrations(320, 240, focal=300.0 + i)[0], d=(-0.1, 0.0, 0.0, 0.0, 0.0)) for i in range(5)]
    states = [CameraState() for _ in infos]
    for _ in range(10):
        for calibration, state in zip(infos, states, strict=True):
            mono_frame(IMAGE, calibration, settings, rectifier=state.rectifier)
    assert computed.count('_maps') == 5


def test_five_pairs_compute_their_rectification_maps_once_and_again_for_a_new_calibration(computed):
    settings = StereoSettings(rectify=True)
    pairs = [calibrations(320, 240, focal=300.0 + i) for i in range(5)]
    states = [CameraState() for _ in pairs]
    for _ in range(10):
        for infos, state in zip(pairs, states, strict=True):
            stereo_frame(IMAGE, IMAGE, *infos, settings, rectifier=state.rectifier)
    assert computed.count('_maps') == 10
    stereo_frame(IMAGE, IMAGE, *calibrations(320, 240, focal=400.0), settings, rectifier=states[0].rectifier)
    assert computed.count('_maps') == 12


def test_five_cameras_compute_the_rays_of_their_pixels_once(computed):
    settings, mount, band = StereoSettings(camera_height_m=0.5), Mount(0.5, 0.2), Band(0.1, 2.0)
    depths = [
        DepthMap(np.full((240, 320), 2.0, np.float32), Camera(320, 240, 300.0 + i, 300.0, 160.0, 120.0), None, None, IMAGE)
        for i in range(5)
    ]  # fmt: skip
    states = [CameraState() for _ in depths]
    for _ in range(10):
        for depth, state in zip(depths, states, strict=True):
            cloud(depth, settings, state.rays)
            clearing_points(depth, mount, band, 3.5, 0.05, state.rays)
            scan(depth, mount, band, state.rays)
    # Cloud and scan take every second pixel, the clearing rays fewer.
    assert {name: computed.count(name) for name in set(computed)} == {'_slopes': 10, '_forward': 10, '_sectors': 5}


def test_kept_tables_do_not_change_the_results(computed):
    depth = DepthMap(
        np.random.default_rng(0).uniform(1, 5, (240, 320)).astype(np.float32),
        Camera(320, 240, 300.0, 290.0, 150.0, 130.0), None, None, IMAGE,
    )  # fmt: skip
    state, mount, band = CameraState(), Mount(0.5, 0.2), Band(0.1, 2.0)
    for pitch_rad in (0.2, 0.3, 0.2):
        mount = Mount(0.5, pitch_rad)
        np.testing.assert_array_equal(scan(depth, mount, band, state.rays).ranges_m, scan(depth, mount, band).ranges_m)
        np.testing.assert_array_equal(
            clearing_points(depth, mount, band, 3.5, 0.05, state.rays).points,
            clearing_points(depth, mount, band, 3.5, 0.05).points,
        )


def test_a_recording_of_five_cameras_computes_no_table_twice(tmp_path, computed):
    names = [f'/camera{i}' for i in range(5)]
    infos = [calibrations(96, 64, focal=300.0 + i)[0] for i in range(5)]
    with BagWriter(tmp_path / 'in') as bag:
        for stamp in range(10**9, 10**9 + 4):
            for name, calibration in zip(names, infos, strict=True):
                bag.add(f'{name}/camera_info', info(calibration, stamp), stamp)
                bag.add(f'{name}/image', image(np.full((64, 96), 2, np.uint8), stamp), stamp)
    settings = MonoSettings(model=str(model(tmp_path)), rectify=True)
    assert process_recording(tmp_path / 'in', tmp_path / 'out', settings, names).written == 20
    assert {name: computed.count(name) for name in set(computed)} == {'_maps': 5, '_slopes': 5}
