"""The page of the viewer: cloud, camera, images, plots, status and parameters. Its methods are thread-safe."""

import base64
import html
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import cv2
import numpy as np
import viser

from depth_ros.settings.parameter_table import Rule, Value
from depth_ros.stages.colorize import colorize, colorize_nearness
from depth_ros.types import AnyArray, Camera, Float32Array, UInt8Array
from depth_ros.viewer.depth_painting import Coloring, colors, positions, thinned

_IMAGE_PX, _JPEG_QUALITY = 360, 75
_DEPTH_TIMEOUT_S = 1.0
"""While depth images are newer than this, the camera image is sent together with the next depth image."""
_PLOT_POINTS = 120
"""Points of a plot: one minute, at two diagnostic messages per second."""
_BYTES_PER_POINT = 9
"""Size of a point as it is sent: three half floats and three colour bytes."""
_COLORS = {'ok': '#2f9e44', 'warning': '#e8890c', 'error': '#e03131'}
_SLIDER_STEPS, _MAX_INTEGER_RANGE, _MAX_FLOAT_RANGE = 1000, 1000, 100.0
"""Parameters with a wider range get a number field instead of a slider."""
_KEYFRAME_COLOR, _KEYFRAME_SIZE_M = (255, 212, 59), 0.03
Change = Callable[[str, Value], None]


class ViewerPage:
    """Serves the page until it is closed.

    Args:
        host: Address to bind to; with 127.0.0.1 the page is available on this machine only.
        port: TCP port; if it is in use, another one is chosen.
        rate_hz: Rate at which images and clouds are shown, from which the bandwidth is computed.
        max_points: Maximum number of points of a cloud.
        max_mb_s: Maximum rate of points for all browsers together, megabytes per second.
    """

    def __init__(self, host: str, port: int, rate_hz: float, max_points: int, max_mb_s: float) -> None:
        self._server = viser.ViserServer(host=host, port=port, label='depth_ros', verbose=False)
        self._rate_hz, self._max_points, self._max_mb_s = rate_hz, max_points, max_mb_s
        scene, gui = self._server.scene, self._server.gui
        scene.set_up_direction('-y')  # optical frame: x right, y down, z forward
        self._server.initial_camera.position = (-0.7, -0.6, -1.0)
        self._server.initial_camera.look_at = (0.3, 0.05, 3.0)
        self._server.initial_camera.fov = 0.75
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, control_width='large')
        self._status = gui.add_html('')
        self._images, self._row = {'camera': '', 'depth': ''}, gui.add_html('')
        self._depth_shown_s = -math.inf
        self._plots = gui.add_html('')
        self._history = {name: deque([math.nan] * _PLOT_POINTS, _PLOT_POINTS) for name in ('age', 'rate')}
        colorings: tuple[Coloring, ...] = ('image', 'height', 'distance')
        with gui.add_folder('view'):
            self._coloring = gui.add_dropdown('colour by', colorings)
            self._point_size = gui.add_slider('point size, m', 0.002, 0.1, 0.002, 0.01)
        self._cloud: Any = None
        self._keyframes: Any = None
        self._camera: Camera | None = None
        self._parameters: dict[str, Any] = {}
        self._folders: list[Any] = []
        self.show_status('warning', 'no diagnostics of a depth node received yet')

    @property
    def url(self) -> str:
        """URL of the page."""
        return f'http://{self._server.get_host()}:{self._server.get_port()}'

    @property
    def browsers(self) -> int:
        """Number of browsers that show the page."""
        return len(self._server.get_clients())

    def show_status(self, level: str, message: str) -> None:
        """Show the status of the node: level ``ok``, ``warning`` or ``error``, and a message."""
        color = _COLORS.get(level, _COLORS['error'])
        self._status.content = (
            f'<div id="status" style="padding:.4em .8em;border-left:.3em solid {color}">{html.escape(message)}</div>'
        )

    def notify(self, message: str) -> None:
        """Show a notification for ten seconds."""
        for client in self._server.get_clients().values():
            client.add_notification('depth_ros', message, color='orange', auto_close_seconds=10.0)

    def show_cloud(self, points: AnyArray) -> None:
        """Show points: (N,) structured array with x, y, z (and rgb), optical frame, metres."""
        selected = thinned(points, self._points_within_budget())
        xyz, rgb, size = positions(selected), colors(selected, self._coloring.value), self._point_size.value
        with self._server.atomic():
            if self._cloud is None:
                self._cloud = self._server.scene.add_point_cloud('/points', xyz, rgb, point_size=size)
                return
            self._cloud.points, self._cloud.colors, self._cloud.point_size = xyz, rgb, size

    def show_camera(self, camera: Camera) -> None:
        """Show the frustum of the camera."""
        if camera == self._camera:
            return
        self._camera = camera
        fov = 2 * float(np.arctan2(camera.height / 2, camera.fy))
        self._server.scene.add_camera_frustum(
            '/camera', fov, camera.width / camera.height, scale=0.1, thickness=0.004, color=(120, 170, 255)
        )

    def show_keyframes(self, positions_m: Float32Array) -> None:
        """Show the positions of earlier images, (N, 3) in the optical frame, metres, as yellow points."""
        color = np.tile(np.array(_KEYFRAME_COLOR, np.uint8), (len(positions_m), 1))
        self._keyframes = self._server.scene.add_point_cloud(
            '/keyframes', positions_m, color, point_size=_KEYFRAME_SIZE_M, point_shape='circle'
        )

    def show_image(self, image: UInt8Array) -> None:
        """Show the camera image, (H, W) grey or (H, W, 3) RGB."""
        self._show_image('camera', image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2))

    def show_depth(self, depth_m: Float32Array) -> None:
        """Show a depth image, (H, W) metres, in colours from red (near) to blue (far)."""
        self._show_image('depth', colorize(_scaled(depth_m, cv2.INTER_NEAREST)))

    def show_nearness(self, nearness: Float32Array) -> None:
        """Show relative depth in place of the depth image, (H, W) from 0 (far, blue) to 1 (near, red)."""
        self._show_image('depth', colorize_nearness(_scaled(nearness, cv2.INTER_NEAREST)))

    def _show_image(self, name: str, rgb: UInt8Array) -> None:
        bgr = cv2.cvtColor(_scaled(rgb, cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
        jpeg = np.asarray(cv2.imencode('.jpg', bgr, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))[1]).tobytes()
        self._images[name] = (
            f'<img id="{name}" alt="{name}" style="width:50%" '
            f'src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
        )
        now_s = time.monotonic()
        if name == 'depth':
            self._depth_shown_s = now_s
        elif now_s - self._depth_shown_s < _DEPTH_TIMEOUT_S:
            return  # sent together with the next depth image, so that both are sent only once
        self._row.content = f'<div style="display:flex">{"".join(self._images.values())}</div>'

    def show_figures(self, age_ms: float, rate_hz: float) -> None:
        """Add a point to each plot; NaN = unknown."""
        self._history['age'].append(age_ms)
        self._history['rate'].append(rate_hz)
        self._plots.content = _plot('age, ms', self._history['age']) + _plot('rate, Hz', self._history['rate'])

    def show_parameters(self, rules: Mapping[str, Rule], values: Mapping[str, Value], change: Change) -> None:
        """Show controls for numbers, switches and choices, by group; existing controls are removed.

        Args:
            rules: Rules of the parameters to show, by name.
            values: Current values, by name.
            change: Called with name and value when the user changes a parameter.
        """
        for folder in self._folders:
            folder.remove()
        self._folders, self._parameters = [], {}
        groups: dict[str, list[str]] = {}
        for name, rule in rules.items():
            if isinstance(values[name], str) and not rule.choices:
                continue  # a text field would set the parameter after every key
            group = rule.group or ('cloud' if name.startswith('cloud_') else 'node')
            groups.setdefault(group, []).append(name)
        for group, names in groups.items():
            folder = self._server.gui.add_folder(f'parameters: {group}', expand_by_default=False)
            self._folders.append(folder)
            with folder:
                for name in names:
                    self._parameters[name] = control = self._control(name, rules[name], values[name])
                    control.on_update(_update_callback(name, change))

    def show_value(self, name: str, value: Value) -> None:
        """Show the current value of a parameter."""
        control = self._parameters.get(name)
        if control is not None and control.value != value:
            control.value = value

    def close(self) -> None:
        """Stop serving."""
        self._server.stop()

    def _points_within_budget(self) -> int:
        budget = self._max_mb_s * 1e6 / _BYTES_PER_POINT / self._rate_hz / max(self.browsers, 1)
        return max(1, min(self._max_points, int(budget)))

    def _control(self, name: str, rule: Rule, value: Value) -> Any:
        gui, hint = self._server.gui, rule.description
        if isinstance(value, bool):
            return gui.add_checkbox(name, value, hint=hint)
        if isinstance(value, str):
            return gui.add_dropdown(name, rule.choices, initial_value=value, hint=hint)
        low, high = rule.minimum, rule.maximum
        max_range = _MAX_INTEGER_RANGE if isinstance(value, int) else _MAX_FLOAT_RANGE
        if low is None or high is None or high - low > max_range:
            return gui.add_number(name, value, min=low, max=high, hint=hint)
        if isinstance(value, int):
            return gui.add_slider(name, int(low), int(high), 1, value, hint=hint)
        return gui.add_slider(name, low, high, (high - low) / _SLIDER_STEPS, value, hint=hint)


def _plot(name: str, values: Iterable[float]) -> str:
    """Return a plot of the last minute as SVG, scaled from 0 to the largest value."""
    width, height = 300, 60
    known = [(i, value) for i, value in enumerate(values) if math.isfinite(value)]
    largest = max((value for _, value in known), default=0.0) or 1.0
    points = ' '.join(
        f'{i * width / (_PLOT_POINTS - 1):.1f},{height - value / largest * height:.1f}' for i, value in known
    )
    newest = f'{known[-1][1]:.1f}' if known else '-'
    return (
        f'<figure style="margin:.6em .8em">'
        f'<figcaption>{name}: {newest} (last minute, maximum {largest:.1f})</figcaption>'
        f'<svg viewBox="0 -2 {width} {height + 4}" style="width:100%;background:#1a1a1a">'
        f'<polyline class="plot" fill="none" stroke="#74c0fc" stroke-width="1.5" points="{points}"/></svg></figure>'
    )


def _update_callback(name: str, change: Change) -> Callable[[Any], None]:
    def on_update(event: Any) -> None:
        if event.client is not None:  # changed by the user, not by show_value
            change(name, event.target.value)

    return on_update


def _scaled(image: AnyArray, interpolation: int) -> AnyArray:
    height, width = image.shape[:2]
    size = (_IMAGE_PX, max(1, round(height * _IMAGE_PX / width)))
    return np.asarray(cv2.resize(image, size, interpolation=interpolation))
