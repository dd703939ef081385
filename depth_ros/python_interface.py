"""The public names of ``import depth_ros``."""

from depth_ros.errors import BadInput, BadSettings, DepthRosError, EstimatorError, ModelError
from depth_ros.estimation import MonoDepth, StereoDepth, process_recording
from depth_ros.evaluation.motorcycle_pair import load_motorcycle as example_pair
from depth_ros.files.calibration_files import read_camera_info as read_calibration
from depth_ros.files.calibration_files import read_pair as read_stereo_calibration
from depth_ros.files.image_files import read_image_file as read_image
from depth_ros.files.image_files import write_image_file as write_image
from depth_ros.files.installed_files import fastdds_profile
from depth_ros.files.ply_file import write_ply
from depth_ros.scale.known_depth import KnownDepth
from depth_ros.settings.node_settings import MonoSettings, MultiviewSettings, StereoSettings
from depth_ros.stages.colorize import colorize
from depth_ros.stages.depth_encoding import to_millimetres
from depth_ros.stages.project import project as point_cloud
from depth_ros.types import Calibration, Camera, Cloud, DepthMap, RelativeMap

__all__ = [
    'BadInput',
    'BadSettings',
    'Calibration',
    'Camera',
    'Cloud',
    'DepthMap',
    'DepthRosError',
    'EstimatorError',
    'KnownDepth',
    'ModelError',
    'MonoDepth',
    'MonoSettings',
    'MultiviewSettings',
    'RelativeMap',
    'StereoDepth',
    'StereoSettings',
    'colorize',
    'example_pair',
    'fastdds_profile',
    'point_cloud',
    'process_recording',
    'read_calibration',
    'read_image',
    'read_stereo_calibration',
    'to_millimetres',
    'write_image',
    'write_ply',
]
