"""Paths of the files that are installed with the code: ``config/``, ``launch/``."""

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from depth_ros.errors import BadFile


def shared_file(name: str) -> Path:
    """Return the path of an installed file, such as ``config/fastdds.xml``.

    The file of a checkout comes first, then sourced workspaces (AMENT_PREFIX_PATH), then the Python environment.

    Raises:
        BadFile: the file is in none of these folders.
    """
    workspaces = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    folders = [
        Path(__file__).parents[2],
        *(Path(prefix) / 'share' / 'depth_ros' for prefix in (*workspaces, sys.prefix) if prefix),
    ]
    for folder in folders:
        if (folder / name).is_file() and (folder / 'package.xml').is_file():
            return folder / name
    raise BadFile(
        f'{name} of depth_ros is not installed; expected it in one of {", ".join(map(str, folders))}. '
        'Install depth_ros again'
    )


def fastdds_profile() -> tuple[str, str]:
    """Return the environment variable for a Fast DDS profile, and the path of the profile of depth_ros.

    Fast DDS 3 warns about the old name of the variable; Fast DDS 2 (Humble to Jazzy) supports only this one.
    """
    old = 'ROS_DISTRO' in os.environ and os.environ['ROS_DISTRO'] in ('humble', 'iron', 'jazzy')
    if 'ROS_DISTRO' not in os.environ:
        try:
            old = bool(version('ros-fastrtps'))
        except PackageNotFoundError:
            old = False
    variable = 'FASTRTPS_DEFAULT_PROFILES_FILE' if old else 'FASTDDS_DEFAULT_PROFILES_FILE'
    return variable, str(shared_file('config/fastdds.xml'))
