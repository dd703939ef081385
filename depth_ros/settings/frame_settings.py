"""Parameters of the start of a node and of the frames that it processes."""

from dataclasses import dataclass

from depth_ros.settings.parameter_table import Table, parameter


@dataclass(frozen=True)
class FrameSettings(Table):
    """Start of the node, transport of its images, and which of them are processed."""

    autostart: bool = parameter(
        True, 'Configure and activate the node at start. Set to false if a lifecycle manager does this.', read_only=True
    )
    image_transport: str = parameter(
        'raw',
        'Transport of the input images; compressed subscribes to <topic>/compressed.',
        choices=('raw', 'compressed'),
        read_only=True,
    )
    rectify: bool = parameter(
        False, 'Rectify the images with their CameraInfo (K, D, R, P); for unrectified image topics.'
    )
    max_age_s: float = parameter(
        0.0,
        'Maximum age of an image at the start of processing; older images are dropped. 0 = no limit.',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
    )
    max_rate_hz: float = parameter(
        0.0, 'Maximum number of images processed per second; 0 = no limit.', unit='Hz', minimum=0.0, maximum=1000.0
    )
    estimate_timeout_s: float = parameter(
        5.0,
        'Report an error on /diagnostics if one image takes longer than this.',
        unit='s',
        minimum=0.1,
        maximum=3600.0,
    )
