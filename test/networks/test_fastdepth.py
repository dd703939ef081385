"""FastDepth with its real weights, against the authors' example, where that is at hand (``DEPTH_ROS_DATA``)."""

import os
from pathlib import Path

import numpy as np
import pytest

import depth_ros
from depth_ros.cli.main import main

FOLDER = Path(os.environ.get('DEPTH_ROS_DATA') or Path(__file__).parents[3] / 'shared/data') / 'mono/fastdepth'


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Return image, prediction and ground truth of the authors; the model is pulled from the local file."""
    pytest.importorskip('ai_edge_litert')
    if not (FOLDER / 'fast_depth_224.tflite').is_file():
        pytest.skip(f'{FOLDER} does not contain FastDepth; set DEPTH_ROS_DATA to the folder of the data')
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path))
    assert main(['models', 'pull', 'fastdepth-nyu', '--from', str(FOLDER / 'fast_depth_224.tflite')]) == 0
    rgb, predicted, truth = (np.load(FOLDER / f'{name}.npy') for name in ('rgb', 'pred', 'depth'))
    return np.rint(255 * rgb).astype(np.uint8), predicted.squeeze(), truth


def test_fastdepth_agrees_with_the_prediction_of_its_authors_and_with_their_ground_truth(example):
    image, predicted, truth = example
    with depth_ros.MonoDepth('fastdepth-nyu') as mono:
        depth_m = mono(image).depth_m
    assert np.isfinite(depth_m).all()
    assert (np.abs(depth_m - predicted) / predicted).mean() <= 0.015
    assert (np.maximum(depth_m / truth, truth / depth_m) < 1.25).mean() >= 0.77


def test_fastdepth_is_metric_without_intrinsics_and_listed_as_installed(example, capsys):
    capsys.readouterr()
    assert main(['models', 'list']) == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith('fastdepth-nyu '))
    assert lines[row].split()[:7] == ['fastdepth-nyu', 'mono', 'metric', 'litert', '1.7', 'MB', 'pull']
    assert 'yes' in lines[row] and 'MIT' in lines[row] and 'delta1 0.771' in lines[row + 1]
