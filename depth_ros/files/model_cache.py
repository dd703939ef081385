"""The folder of downloaded and exported models, and checksums of files."""

import hashlib
import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder for downloaded and exported models: $DEPTH_ROS_CACHE, or the user's cache directory."""
    own = os.environ.get('DEPTH_ROS_CACHE')
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(own) if own else Path(base) / 'depth_ros'


def sha256(path: Path) -> str:
    """Return the checksum of a file, read piece by piece."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
