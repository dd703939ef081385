"""A page in the browser: what a depth node sees and how it is doing. ``ros/depth_viewer.py`` feeds it."""

from depth_ros.errors import BadFile
from depth_ros.files.install_command import install_command

try:
    import viser  # noqa: F401
except ImportError as error:
    raise BadFile(f'the page needs the library viser ({error}): {install_command("view")}') from error
