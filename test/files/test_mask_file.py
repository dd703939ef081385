"""The file of ``filter.mask_file``: read once, read again when it changes, rejected with one error."""

import os

import numpy as np
import pytest

from depth_ros.errors import BadFile
from depth_ros.files import mask_file
from depth_ros.files.image_files import write_image_file
from depth_ros.files.mask_file import MaskFile

SIZE = (48, 64)


class Seconds:
    """A clock that the test advances."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def reads(monkeypatch):
    """Return the paths that have been read."""
    paths, read_image_file = [], mask_file.read_image_file
    monkeypatch.setattr(mask_file, 'read_image_file', lambda path: paths.append(path) or read_image_file(path))
    return paths


def write(path, value, seconds=0):
    """Write a mask, with a modification time of its own."""
    write_image_file(path, np.full(SIZE, value, np.uint8))
    os.utime(path, (1_000_000 + seconds, 1_000_000 + seconds))
    return str(path)


def test_without_a_path_there_is_no_mask():
    assert MaskFile().current('') is None


def test_it_is_read_once_and_checked_once_per_second(tmp_path, reads):
    path, clock = write(tmp_path / 'mask.png', 255), Seconds()
    mask = MaskFile(clock)
    for _ in range(300):
        assert (mask.current(path) == 255).all()
        clock.now += 0.033
    assert len(reads) == 1
    write(tmp_path / 'mask.png', 0, seconds=5)
    clock.now += 1.0
    assert (mask.current(path) == 0).all() and len(reads) == 2


def test_a_change_of_the_size_alone_is_detected(tmp_path):
    path, clock = write(tmp_path / 'mask.png', 255), Seconds()
    mask = MaskFile(clock)
    mask.current(path)
    noise = np.random.default_rng(0).integers(0, 2, SIZE).astype(np.uint8) * 255
    write_image_file(tmp_path / 'mask.png', noise)
    os.utime(path, (1_000_000, 1_000_000))
    clock.now += 1.0
    np.testing.assert_array_equal(mask.current(path), noise)


def test_another_path_is_read_at_once(tmp_path):
    mask = MaskFile(Seconds())
    assert (mask.current(write(tmp_path / 'a.png', 255)) == 255).all()
    assert (mask.current(write(tmp_path / 'b.png', 0)) == 0).all()


def test_a_colour_image_is_set_where_any_channel_is(tmp_path):
    image = np.zeros((*SIZE, 3), np.uint8)
    image[:10, :, 2] = 200
    write_image_file(tmp_path / 'mask.png', image)
    found = MaskFile().current(str(tmp_path / 'mask.png'))
    assert found.shape == SIZE and (found[:10] > 0).all() and (found[10:] == 0).all()


def test_a_bad_file_is_refused_without_reading_it_for_every_frame_and_the_next_good_one_works(tmp_path, reads):
    path, clock = tmp_path / 'mask.png', Seconds()
    mask = MaskFile(clock)
    for content, message in (
        (None, r'filter\.mask_file: .*mask\.png cannot be read: No such file'),
        (b'half of a', 'mask'),
    ):
        if content:
            path.write_bytes(content)
        clock.now += 1.0
        for _ in range(5):
            with pytest.raises(BadFile, match=message):
                mask.current(str(path))
    assert len(reads) == 2
    write(path, 255)
    clock.now += 1.0
    assert (mask.current(str(path)) == 255).all()
    path.unlink()
    clock.now += 1.0
    with pytest.raises(BadFile, match='No such file'):
        mask.current(str(path))
