"""All errors of depth_ros, as one tree.

::

    DepthRosError
    ├── BadInput            one frame or file is unusable; the next one may be usable
    │   ├── BadImage        encoding, size, step, data or compressed stream
    │   ├── BadCameraInfo   a calibration that does not give metres
    │   ├── MissingPrompt   no measured depth for a network that needs one as an input
    │   └── BadFile         a file that is missing, unreadable or of another kind than expected
    ├── BadSettings         parameters that are out of range or contradict each other
    ├── ModelError          the description or the file of a network is unusable
    │   ├── BadManifest     the manifest is invalid
    │   ├── ModelLoadError  the file is missing, damaged, or needs another runtime
    │   └── ModelMismatch   the file does not match its manifest
    └── EstimatorError      the estimator failed on a valid frame
        └── InferenceError    the runtime of the network failed
            ├── DeviceUnavailable  the requested device is unavailable
            ├── OutOfMemory         not enough memory for this frame; a later one may succeed
            └── DeviceLost          the device is unusable until the process is restarted

Every message states what is wrong, what was found, what was expected and what to do.
"""


class DepthRosError(Exception):
    """Base class of all errors that depth_ros raises."""


class BadInput(DepthRosError):
    """An input is unusable; nothing else is affected."""


class BadImage(BadInput):
    """An image cannot be decoded, or its size cannot be processed."""


class BadCameraInfo(BadInput):
    """A calibration is missing, contradictory, or does not give metres."""


class MissingPrompt(BadInput):
    """A network takes a measured depth with every image, and there is none for this image."""


class BadFile(BadInput):
    """A file is missing, unreadable, or does not contain what is expected there."""


class BadSettings(DepthRosError):
    """Parameters are of the wrong type, out of range, or contradict each other."""


class EstimatorError(DepthRosError):
    """An estimator failed on a valid frame."""


class ModelError(DepthRosError):
    """A network is unusable."""


class BadManifest(ModelError):
    """A manifest is invalid; the message names the file and the key."""


class ModelLoadError(ModelError):
    """The file of a model is missing, damaged, or needs another runtime."""


class ModelMismatch(ModelError):
    """The file of a model does not match its manifest."""


class InferenceError(EstimatorError):
    """The runtime failed on a frame."""


class DeviceUnavailable(InferenceError):
    """The requested device is unavailable on this machine."""


class OutOfMemory(InferenceError):
    """The device has not enough memory for this frame."""


class DeviceLost(InferenceError):
    """The device was lost; it cannot be used again by this process."""
