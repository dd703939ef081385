"""Where the files are that are installed beside the code: ``config/``, ``launch/``."""

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from depth_ros.errors import BadFile


def shared_file(name: str) -> Path:
    """Return the path of an installed file, such as ``config/fastdds.xml``.

    A checkout's own file comes first, then the workspaces that are sourced (AMENT_PREFIX_PATH), then the environment.

    Raises:
        BadFile: it is in none of these places.
    """
    workspaces = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    folders = [
        Path(__file__).parents[2],
        *(Path(prefix) / 'share' / 'depth_ros' for prefix in (*workspaces, sys.prefix) if prefix),
    ]
    for folder in folders:
        if (folder / name).is_file() and (folder / 'package.xml').is_file():
            return folder / name
    raise BadFile(f'{name} of depth_ros is not installed; looked in {", ".join(map(str, folders))}. Install again')


def fastdds_profile() -> tuple[str, str]:
    """Return the environment variable that gives Fast DDS a profile, and the path of ours.

    Fast DDS 3 renamed the variable and warns of the old name; Fast DDS 2 (Humble to Jazzy) knows only the old one.
    """
    old = 'ROS_DISTRO' in os.environ and os.environ['ROS_DISTRO'] in ('humble', 'iron', 'jazzy')
    if 'ROS_DISTRO' not in os.environ:
        try:
            old = bool(version('ros-fastrtps'))
        except PackageNotFoundError:
            old = False
    variable = 'FASTRTPS_DEFAULT_PROFILES_FILE' if old else 'FASTDDS_DEFAULT_PROFILES_FILE'
    return variable, str(shared_file('config/fastdds.xml'))
