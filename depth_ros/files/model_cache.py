"""The folder of downloaded and exported models, and checksums of files."""

import hashlib
import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder for downloaded and exported models: $DEPTH_ROS_CACHE, or the user's cache directory."""
    custom = os.environ.get('DEPTH_ROS_CACHE')
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(custom) if custom else Path(base) / 'depth_ros'


def sha256(path: Path) -> str:
    """Return the SHA-256 checksum of a file, read in chunks."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
