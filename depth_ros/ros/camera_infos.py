"""The calibrations of one camera, by stamp."""

from collections import OrderedDict

from sensor_msgs.msg import CameraInfo

from depth_ros.files.ros_fields import stamp_ns

_KEPT = 10


class CameraInfos:
    """Finds the calibration that belongs to an image.

    Most drivers publish one with every image, some rarely or once. The first kind is expected until an image has waited
    in vain, and again as soon as one stamp agrees with an image's.
    """

    def __init__(self) -> None:
        self._by_stamp: OrderedDict[int, CameraInfo] = OrderedDict()
        self._image_stamp: int | None = None
        self.follows_images = True

    def add(self, message: CameraInfo) -> None:
        """Keep a calibration."""
        stamp = stamp_ns(message.header.stamp)
        self.follows_images |= stamp == self._image_stamp
        self._by_stamp.pop(stamp, None)
        self._by_stamp[stamp] = message
        if len(self._by_stamp) > _KEPT:
            self._by_stamp.popitem(last=False)

    def at(self, stamp: int) -> CameraInfo | None:
        """Return the calibration of this very stamp."""
        self._image_stamp = stamp
        found = self._by_stamp.get(stamp)
        self.follows_images |= found is not None
        return found

    def latest(self) -> CameraInfo | None:
        """Return the calibration that came last."""
        return next(reversed(self._by_stamp.values()), None)

    def waited_in_vain(self) -> None:
        """Note that an image had to go on without its calibration; with none at all, waiting goes on."""
        self.follows_images = self.latest() is None
