"""Folders for results."""

from pathlib import Path

from depth_ros.errors import BadFile


def make_folder(path: Path) -> None:
    """Make a folder for results before the work, which may take hours; it may be there already.

    Raises:
        BadFile: it cannot be made.
    """
    if path.is_file():
        raise BadFile(f'{path} is a file; expected a folder for the results, which is made if missing')
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadFile(f'{path} cannot be made a folder: {error.strerror}') from error
