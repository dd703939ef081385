"""Creation of folders for results."""

from pathlib import Path

from depth_ros.errors import BadFile


def make_folder(path: Path) -> None:
    """Create a folder for results, before work that may take hours; an existing folder is accepted.

    Raises:
        BadFile: the folder cannot be created.
    """
    if path.is_file():
        raise BadFile(f'{path} is a file; expected a folder for the results, which is created if missing')
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadFile(f'{path} cannot be created: {error.strerror}') from error
