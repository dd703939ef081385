"""Checks of the newest messages: calibration, encoding, and whether left and right images are exchanged."""

from collections.abc import Generator, Iterator, Sequence

from depth_ros.doctor.finding import Finding
from depth_ros.doctor.observations import Observations, ObservedTopic
from depth_ros.errors import BadCameraInfo, BadImage
from depth_ros.messages.read_messages import calibration, image_pixels
from depth_ros.settings.node_settings import NodeSettings, StereoSettings
from depth_ros.stages.intrinsics import looks_unrectified, rectified_camera, stereo_rig
from depth_ros.stages.rectify import rectify
from depth_ros.stereo.exposure_difference import EXPOSURE_CONSEQUENCE, EXPOSURE_REMEDY, exposure_difference
from depth_ros.stereo.pair_agreement import clearly_better, matched_share
from depth_ros.stereo.row_measurement import measure_rows
from depth_ros.stereo.row_tracker import MAX_OFF_PX, describe
from depth_ros.types import Calibration, StereoFrame, UInt8Array

_NO_METRES = 'metric depth needs a valid calibration'
_MIN_MATCHED_SHARE = 0.1
_CALIBRATE = 'run ros2 run camera_calibration cameracalibrator, and configure the driver to publish the result'
_FRAME_FIX = 'configure the driver to publish the same optical frame in image and camera_info'


def calibration_findings(observations: Observations, settings: NodeSettings) -> Iterator[Finding]:
    """Check every CameraInfo together with its image."""
    sides = ('left ', 'right ') if isinstance(settings, StereoSettings) else ('',)
    cameras: list[tuple[Calibration, UInt8Array]] = []
    for side in sides:
        image, info = observations.of(f'{side}image'), observations.of(f'{side}camera_info')
        decoded = yield from _decoded(image)
        if info is None or info.last is None or image is None or decoded is None:
            continue
        camera_calibration = calibration(info.last)
        try:
            camera = rectified_camera(camera_calibration, decoded.shape[1], decoded.shape[0], side.strip() or 'camera')
        except BadCameraInfo as error:
            yield Finding('fault', 'camera_info', info.topic, str(error), _NO_METRES, _CALIBRATE)
            continue
        cameras.append((camera_calibration, decoded))
        lens = f'fx {camera.fx:.1f} px, cx {camera.cx:.1f}, cy {camera.cy:.1f}'
        yield Finding('ok', 'camera_info', info.topic, f'{camera.width}x{camera.height}, {lens}')
        if not settings.rectify and looks_unrectified(camera_calibration):
            yield Finding(
                'warning',
                'rectified',
                info.topic,
                'has distortion but no rectification (P equals K)',
                'the images are probably raw: depth is distorted, and the images of a pair do not match',
                'set rectify: true, or subscribe to image_rect of image_proc',
            )
        if image.last.header.frame_id != camera_calibration.frame_id:
            yield Finding(
                'warning',
                'frame_id',
                image.topic,
                f"frame_id is '{image.last.header.frame_id}', that of camera_info is '{camera_calibration.frame_id}'",
                'the point cloud uses the frame of the image',
                _FRAME_FIX,
            )
    if len(cameras) == 2:
        yield _baseline_finding(cameras, observations)


def _decoded(image: ObservedTopic | None) -> Generator[Finding, None, UInt8Array | None]:
    """Return the decoded image, or None if no image was received or it cannot be decoded, which yields a finding."""
    if image is None or image.last is None:
        return None
    try:
        return image_pixels(image.last)
    except BadImage as error:
        yield Finding(
            'fault',
            'encoding',
            image.topic,
            str(error),
            'images with this encoding are dropped',
            'configure the driver to publish mono8, rgb8, bgr8 or a Bayer encoding',
        )
        return None


def _baseline_finding(cameras: list[tuple[Calibration, UInt8Array]], observations: Observations) -> Finding:
    (left, image_left), (right, _) = cameras
    info = observations.of('right camera_info')
    about = info.topic if info else 'right camera_info'
    height, width = image_left.shape[:2]
    try:
        rig = stereo_rig(left, right, width, height)
    except BadCameraInfo as error:
        return Finding('fault', 'baseline', about, str(error), _NO_METRES, 'run a stereo calibration of both cameras')
    return Finding('ok', 'baseline', about, f'{rig.baseline_m:.4f} m')


def content_findings(observations: Observations, settings: NodeSettings) -> Iterator[Finding]:
    """Check a pair by matching it as received and with the sides exchanged."""
    topics = [observations.of(role) for role in ('left image', 'right image', 'left camera_info', 'right camera_info')]
    messages = [topic.last for topic in topics if topic is not None and topic.last is not None]
    if not isinstance(settings, StereoSettings) or len(messages) < 4:
        return
    infos = [calibration(message) for message in messages[2:]]
    images = [image_pixels(message) for message in messages[:2]]
    about = 'left and right images'
    if images[0].shape[:2] != images[1].shape[:2]:
        yield Finding(
            'fault',
            'pair',
            about,
            f'left is {_size(images[0])}, right is {_size(images[1])}',
            'the images of a pair must have the same size',
            'set both cameras to the same resolution',
        )
        return
    if settings.rectify:
        images = [
            rectify(image, info, side) for image, info, side in zip(images, infos, ('left', 'right'), strict=True)
        ]
    rig = stereo_rig(infos[0], infos[1], images[0].shape[1], images[0].shape[0])
    yield from _exposure_finding(images, about)
    as_received, exchanged = matched_share(images, rig), matched_share(images[::-1], rig)
    if clearly_better(exchanged, than=as_received):
        yield Finding(
            'fault',
            'swapped',
            about,
            f'{as_received:.0%} of the pixels match, and {exchanged:.0%} with left and right exchanged',
            'left and right are swapped: depth cannot be computed',
            'exchange the topics: left_image_rect:=… right_image_rect:=…',
        )
        return
    if as_received < _MIN_MATCHED_SHARE:
        yield Finding(
            'warning',
            'pair',
            about,
            f'{as_received:.0%} of the pixels match',
            'little or no depth. Possible causes: a calibration that is outdated or of another camera, a covered lens, '
            'darkness, or no texture',
            'check both images; repeat the calibration',
        )
    else:
        yield Finding('ok', 'pair', about, f'{as_received:.0%} of the pixels match')
    yield _rows_finding(StereoFrame(images[0], images[1], rig), settings)


def _rows_finding(frame: StereoFrame, settings: StereoSettings) -> Finding:
    """Check whether the rows of a pair match."""
    about, measurement = 'rows of the right image', measure_rows(frame)
    if measurement.shift is None:
        return Finding('ok', 'rows', about, f'not measured: {measurement.why}')
    off_px = measurement.shift.rms_px(frame.rig.right)
    what = f'off by {describe(measurement.shift, off_px)}, from {measurement.matches} matches'
    if off_px <= MAX_OFF_PX:
        return Finding('ok', 'rows', about, what)
    if settings.align_rows:
        return Finding('ok', 'rows', about, f'{what}; corrected because align_rows is true')
    return Finding(
        'warning',
        'rows',
        about,
        f'{what}; expected at most {MAX_OFF_PX:g} px',
        'depth is missing or wrong where rows do not match: the rig has bent since its calibration, or the calibration '
        'is inaccurate',
        'repeat the stereo calibration, or set align_rows: true',
    )


def _exposure_finding(images: Sequence[UInt8Array], about: str) -> Iterator[Finding]:
    difference = exposure_difference(images[0], images[1])
    if difference is None:
        return
    if difference.costs_matches:
        yield Finding('warning', 'exposure', about, str(difference), EXPOSURE_CONSEQUENCE, EXPOSURE_REMEDY)
    else:
        yield Finding('ok', 'exposure', about, str(difference))


def _size(image: UInt8Array) -> str:
    return f'{image.shape[1]}x{image.shape[0]}'
