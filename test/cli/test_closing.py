"""Every command closes the networks that it has opened exactly once, even if it fails."""

from pathlib import Path

import numpy as np
import pytest
from bag_files import BagWriter, image, info, write_bag
from scenes import calibrations, pair, write_info
from tiny_model import STEREO, model

from depth_ros.cli.main import main
from depth_ros.files.image_files import write_image_file


@pytest.fixture
def files(tmp_path):
    """Return a folder with a pair, its calibration, a folder of images, two recordings and two models."""
    images = pair(np.full((48, 64), 4.0, np.float32))
    (tmp_path / 'images').mkdir()
    for side, rgb, calibration in zip(('left', 'right'), images, calibrations(64, 48), strict=True):
        write_image_file(tmp_path / f'{side}.png', rgb)
        write_image_file(tmp_path / f'images/{side}.png', rgb)
        write_info(tmp_path / f'{side}.yaml', calibration)
    model(tmp_path / 'mono')
    model(tmp_path / 'stereo', STEREO, plus=2.0)
    write_bag(tmp_path / 'pairs', frames=2)
    with BagWriter(tmp_path / 'mono_bag') as bag:
        for stamp in (10**9, 2 * 10**9):
            bag.add('/camera_info', info(calibrations(64, 48)[0], stamp), stamp)
            bag.add('/image', image(images[0], stamp), stamp)
    return tmp_path


PAIR = ('--left', 'left.png', '--right', 'right.png', '--left-info', 'left.yaml', '--right-info', 'right.yaml')
MONO, PAIRS = ('--model', 'mono/tiny.yaml'), ('--model', 'stereo/tiny.yaml')
NODES = ('-p', 'model:=mono/tiny.yaml'), ('-p', 'model:=stereo/tiny.yaml')


@pytest.mark.parametrize(
    ('arguments', 'code'),
    [
        (('infer', '--image', 'left.png', '--out', 'out', *MONO), 0),
        (('infer', '--image', 'images', '--out', 'out', *MONO), 0),
        (('infer', *PAIR, '--out', 'out', *PAIRS), 0),
        (('infer', *PAIR, '--out', 'out', *MONO), 1),
        (('eval', 'sim:1:3', '--node', 'mono_depth', '--limit', '2', '--out', 'out', *MONO), 0),
        pytest.param(('eval', 'sim:1:2', '--node', 'stereo_depth', '--out', 'out', *PAIRS), 0, marks=pytest.mark.slow),
        (('bag', 'process', 'mono_bag', 'out', '--node', 'mono_depth', *NODES[0]), 0),
        (('bag', 'process', 'pairs', 'out', '--node', 'stereo_depth', *NODES[1]), 0),
        (('bag', 'process', 'pairs', 'out', '--node', 'mono_depth', *NODES[0]), 1),
        (('models', 'bench', 'mono/tiny.yaml', '--image-size', '64x48', '--repeat', '2'), 0),
    ],
)
def test_a_command_closes_the_network_that_it_opened(files, monkeypatch, capsys, opened_backends, arguments, code):
    monkeypatch.chdir(files)
    assert main(list(arguments)) == code, capsys.readouterr().err
    assert [backend.times_closed for backend in opened_backends] == [1]
    assert any(Path('out').rglob('*')) == (code == 0 and 'out' in arguments)
