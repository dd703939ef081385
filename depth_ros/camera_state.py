"""State that is kept between the frames of one camera."""

from depth_ros.files.mask_file import MaskFile
from depth_ros.stages.pixel_rays import PixelRays
from depth_ros.stages.rectify import Rectifier
from depth_ros.stages.stabilizer import Stabilizer
from depth_ros.stereo.row_tracker import RowTracker


class CameraState:
    """State of one camera or stereo pair: tables computed from its calibration, its mask, its last depth map, its rows.

    A node, a command and each camera of a recording own one such object and pass its parts to the functions of the
    pipeline.
    """

    def __init__(self) -> None:
        self.rectifier = Rectifier()
        self.rays = PixelRays()
        self.mask = MaskFile()
        self.stabilizer = Stabilizer()
        self.rows = RowTracker()
