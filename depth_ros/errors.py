"""What can go wrong, as one tree.

::

    DepthRosError
    ├── BadInput            one frame or file is unusable; the next one may be fine
    │   ├── BadImage        encoding, size, step, data or compressed stream
    │   ├── BadCameraInfo   calibration that cannot give metres
    │   └── BadFile         a file that is missing, unreadable or not what it should be
    ├── BadSettings         parameters that contradict their table or each other
    └── EstimatorError      the estimator could not do its work on a good frame

Every message says what is wrong, what was found, what was expected and what to do.
"""


class DepthRosError(Exception):
    """Root of all errors that depth_ros raises on purpose."""


class BadInput(DepthRosError):
    """An input cannot be used; nothing else is affected."""


class BadImage(BadInput):
    """An image cannot be decoded or has a size that cannot be processed."""


class BadCameraInfo(BadInput):
    """A calibration is missing, contradictory, or cannot give metres."""


class BadFile(BadInput):
    """A file is missing, unreadable, or does not hold what its place requires."""


class BadSettings(DepthRosError):
    """Parameters are of the wrong type, out of range, or contradict each other."""


class EstimatorError(DepthRosError):
    """An estimator failed on a frame that looked valid."""
