"""What can go wrong, as one tree.

::

    DepthRosError
    ├── BadInput            one frame or file is unusable; the next one may be fine
    │   ├── BadImage        encoding, size, step, data or compressed stream
    │   ├── BadCameraInfo   calibration that cannot give metres
    │   └── BadFile         a file that is missing, unreadable or not what it should be
    ├── BadSettings         parameters that contradict their table or each other
    ├── ModelError          a network's description or file
    │   ├── BadManifest     the description cannot be used
    │   ├── ModelLoadError  the file is missing, damaged, or needs another runtime
    │   └── ModelMismatch   the file is not what its manifest says
    └── EstimatorError      the estimator could not do its work on a good frame
        └── BackendError    what runs the network failed
            ├── BackendUnavailable  the device that was asked for cannot be had
            ├── OutOfMemory         this time; it may work again
            └── DeviceLost          until the process is restarted

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


class ModelError(DepthRosError):
    """A network cannot be used as it is."""


class BadManifest(ModelError):
    """A model's description is not valid; the message names file and key."""


class ModelLoadError(ModelError):
    """A model's file is missing, damaged, or asks for another runtime."""


class ModelMismatch(ModelError):
    """A model's file and its manifest disagree."""


class BackendError(EstimatorError):
    """What runs the network failed on a frame."""


class BackendUnavailable(BackendError):
    """The device that was asked for cannot be had on this machine."""


class OutOfMemory(BackendError):
    """The device has no memory left for this frame."""


class DeviceLost(BackendError):
    """The device is gone; nothing in this process brings it back."""
