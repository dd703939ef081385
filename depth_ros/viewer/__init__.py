"""A page in the browser that shows a depth node. ``tools/depth_viewer.py`` provides the data."""

from depth_ros.errors import BadFile
from depth_ros.files.install_command import install_command

try:
    import viser  # noqa: F401
except ImportError as error:
    raise BadFile(
        f'the viewer needs the package viser ({error}); install it with: {install_command("view")}'
    ) from error
