"""What the newest messages say: calibration, encodings, and whether the pictures of a pair belong where they are."""

from collections.abc import Generator, Iterator

from depth_ros.doctor.finding import Finding
from depth_ros.doctor.observations import Observations, ObservedTopic
from depth_ros.errors import BadCameraInfo, BadImage
from depth_ros.messages.read_messages import calibration, image_pixels
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.stages.intrinsics import looks_unrectified, rectified_camera, stereo_rig
from depth_ros.stages.rectify import rectify
from depth_ros.stereo.pair_agreement import clearly_better, matched_share
from depth_ros.types import Calibration, UInt8Array

_NO_METRES = 'without it there are no metres'
_HARDLY = 0.1
_CALIBRATE = 'ros2 run camera_calibration cameracalibrator, and let the driver load the result'
_FRAME_FIX = 'let the driver publish the optical frame in image and camera_info'


def calibration_findings(seen: Observations, settings: MonoSettings | StereoSettings) -> Iterator[Finding]:
    """Judge CameraInfos with the images that they belong to."""
    sides = ('left ', 'right ') if isinstance(settings, StereoSettings) else ('',)
    found: list[tuple[Calibration, UInt8Array]] = []
    for side in sides:
        image, info = seen.of(f'{side}image'), seen.of(f'{side}camera_info')
        decoded = yield from _decoded(image)
        if info is None or info.last is None or image is None or decoded is None:
            continue
        known = calibration(info.last)
        try:
            camera = rectified_camera(known, decoded.shape[1], decoded.shape[0], side.strip() or 'camera')
        except BadCameraInfo as error:
            yield Finding('fault', 'camera_info', info.topic, str(error), _NO_METRES, _CALIBRATE)
            continue
        found.append((known, decoded))
        lens = f'fx {camera.fx:.1f} px, cx {camera.cx:.1f}, cy {camera.cy:.1f}'
        yield Finding('ok', 'camera_info', info.topic, f'{camera.width}x{camera.height}, {lens}')
        if not settings.rectify and looks_unrectified(known):
            yield Finding(
                'warning',
                'rectified',
                info.topic,
                'it has distortion but no rectification (P is K)',
                'these look like raw images: depth would be bent, a pair would not match',
                "rectify: true, or subscribe to image_proc's image_rect",
            )
        if image.last.header.frame_id != known.frame_id:
            yield Finding(
                'warning',
                'frame_id',
                image.topic,
                f"its frame_id is '{image.last.header.frame_id}', that of camera_info '{known.frame_id}'",
                'the points are put where the image says',
                _FRAME_FIX,
            )
    if len(found) == 2:
        yield _rig_finding(found, seen)


def _decoded(image: ObservedTopic | None) -> Generator[Finding, None, UInt8Array | None]:
    """Yield what is wrong with an image; return the picture, None if there is none."""
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
            'every image of this kind is dropped',
            'let the driver publish mono8, rgb8, bgr8 or a Bayer encoding',
        )
        return None


def _rig_finding(found: list[tuple[Calibration, UInt8Array]], seen: Observations) -> Finding:
    (left, image_left), (right, _) = found
    info = seen.of('right camera_info')
    about = info.topic if info else 'right camera_info'
    height, width = image_left.shape[:2]
    try:
        rig = stereo_rig(left, right, width, height)
    except BadCameraInfo as error:
        return Finding('fault', 'baseline', about, str(error), _NO_METRES, 'calibrate both cameras together, as stereo')
    return Finding('ok', 'baseline', about, f'{rig.baseline_m:.4f} m')


def content_findings(seen: Observations, settings: MonoSettings | StereoSettings) -> Iterator[Finding]:
    """Match a pair as it is and with its sides exchanged: the better one is right."""
    topics = [seen.of(role) for role in ('left image', 'right image', 'left camera_info', 'right camera_info')]
    messages = [topic.last for topic in topics if topic is not None and topic.last is not None]
    if not isinstance(settings, StereoSettings) or len(messages) < 4:
        return
    infos = [calibration(message) for message in messages[2:]]
    images = [image_pixels(message) for message in messages[:2]]
    about = f'{messages[0].header.frame_id or "left"} and right images'
    if images[0].shape[:2] != images[1].shape[:2]:
        yield Finding(
            'fault',
            'pair',
            about,
            f'left is {_size(images[0])} and right {_size(images[1])}',
            'only pairs of one size can be matched',
            'set both cameras to one resolution',
        )
        return
    if settings.rectify:
        images = [rectify(p, i, side) for p, i, side in zip(images, infos, ('left', 'right'), strict=True)]
    rig = stereo_rig(infos[0], infos[1], images[0].shape[1], images[0].shape[0])
    as_it_is, exchanged = matched_share(images, rig), matched_share(images[::-1], rig)
    if clearly_better(exchanged, than=as_it_is):
        yield Finding(
            'fault',
            'swapped',
            about,
            f'{as_it_is:.0%} of the pixels match, and {exchanged:.0%} with left and right exchanged',
            'left and right are swapped: there would be no depth',
            'exchange the topics: left_image_rect:=… right_image_rect:=…',
        )
    elif as_it_is < _HARDLY:
        yield Finding(
            'warning',
            'pair',
            about,
            f'{as_it_is:.0%} of the pixels match',
            'rows that do not fit (a '
            'calibration that is old or of another camera), a covered lens, darkness, or no texture',
            'look at both images; calibrate again',
        )
    else:
        yield Finding('ok', 'pair', about, f'{as_it_is:.0%} of the pixels match')


def _size(image: UInt8Array) -> str:
    return f'{image.shape[1]}x{image.shape[0]}'
