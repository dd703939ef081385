"""Reasons for which frames are dropped, as counted by nodes, recordings and their reports."""

from enum import Enum

from depth_ros.errors import BadCameraInfo, BadFile, BadImage, MissingPrompt


class DropReason(str, Enum):
    """A reason; the value is the key in ``/diagnostics`` and in reports."""

    SUPERSEDED = 'superseded'
    """A newer frame arrived before this one was estimated."""
    NO_SUBSCRIBER = 'no_subscriber'
    """No output has a subscriber."""
    STALE = 'stale'
    """The frame was older than ``max_age_s``."""
    MAX_RATE = 'max_rate'
    """``max_rate_hz`` was reached."""
    UNPAIRED = 'unpaired'
    """No image of the other side was received within ``max_skew_ms``."""
    ZERO_STAMP = 'zero_stamp'
    """The image has no stamp, and ``accept_zero_stamps`` is false."""
    OUT_OF_ORDER = 'out_of_order'
    """The stamp is not newer than that of the last pair."""
    DUPLICATE = 'duplicate'
    """An image with the same stamp is already waiting."""
    TIME_JUMP = 'time_jump'
    """Time jumped back; the frame is from before the jump."""
    NO_CAMERA_INFO = 'no_camera_info'
    """No calibration was received."""
    NO_POSE = 'no_pose'
    """The pose of the camera at the stamp of the image is unknown."""
    NO_PARALLAX = 'no_parallax'
    """The camera has not moved enough for new depth, or no earlier image shows the same scene."""
    BAD_IMAGE = 'bad_image'
    """The image cannot be decoded or processed."""
    BAD_CAMERA_INFO = 'bad_camera_info'
    """The calibration is unusable."""
    BAD_FILE = 'bad_file'
    """A file that a parameter names is unusable."""
    NO_PROMPT = 'no_prompt'
    """The network takes a measured depth with every image, and there is none for this image."""
    BAD_REFERENCE = 'bad_reference'
    """A reference message for the scale is unusable (recordings)."""
    ESTIMATOR_FAILED = 'estimator_failed'
    """The estimator failed on the frame."""
    OUT_OF_MEMORY = 'out_of_memory'
    """The device does not have enough memory."""
    DEVICE_LOST = 'device_lost'
    """The device is unusable until the process is restarted."""
    DEADLINE = 'deadline'
    """The inference server did not answer within ``remote_deadline_ms``."""
    SERVER_UNAVAILABLE = 'server_unavailable'
    """The inference server is unavailable."""
    DAMAGED = 'damaged'
    """The message cannot be deserialized (recordings)."""
    REST_OF_BAG_UNREADABLE = 'rest_of_bag_unreadable'
    """The recording ends prematurely."""
    SHUTDOWN = 'shutdown'
    """The node was deactivated or the recording ended while the frame was waiting."""

    def __str__(self) -> str:
        return self.value


UNUSABLE_INPUT: dict[type[Exception], DropReason] = {
    BadImage: DropReason.BAD_IMAGE,
    BadCameraInfo: DropReason.BAD_CAMERA_INFO,
    BadFile: DropReason.BAD_FILE,
    MissingPrompt: DropReason.NO_PROMPT,
}
"""Reason by type of the error for frames that could not be estimated because of an input."""
