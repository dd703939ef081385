"""Output of both demos: progress line, table and files."""

import argparse
import json
import os
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.lib.recfunctions import structured_to_unstructured

from depth_ros.cli.demo_graph import Graph
from depth_ros.errors import BadFile
from depth_ros.files.image_files import write_image_file
from depth_ros.files.ply_file import write_ply
from depth_ros.ros.ros_messages import read_points
from depth_ros.stages.colorize import colorize
from depth_ros.types import Cloud

Row = tuple[str, object, str]


class LiveLine:
    """Progress of a demo: one line that is overwritten, or one line per second if the output is not a terminal.

    Args:
        accuracy_text: Returns the accuracy of the newest depth image as text; '' while no depth image is received.
    """

    def __init__(self, accuracy_text: Callable[[Graph], str]) -> None:
        self._accuracy_text = accuracy_text
        self._in_place = sys.stdout.isatty()
        self._next_s = 0.0

    def show(self, graph: Graph) -> None:
        """Print the state of the graph."""
        if not self._in_place and time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + 1.0
        listener, accuracy_text = graph.listener, self._accuracy_text(graph)
        if not accuracy_text:
            text = f'waiting for the first depth image … {listener.status}'
        else:
            text = (
                f'{graph.seconds:5.1f} s   {listener.depth_received / max(graph.seconds, 0.1):4.1f} Hz   '
                f'age {listener.age_ms[-1]:4.0f} ms   dropped {sum(listener.dropped().values()):3d}   {accuracy_text}'
            )
        print(f'\r{text:<100}' if self._in_place else text, end='' if self._in_place else '\n', flush=True)

    def end(self) -> None:
        """End the line."""
        if self._in_place:
            print()


def viewer_command(options: argparse.Namespace) -> list[str] | None:
    """Return module and arguments of the viewer and print its address; return None without ``--view``."""
    if not options.view:
        return None
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    url = f'http://127.0.0.1:{port}'
    print(f'viewer: {url}   (Ctrl-C ends the demo)')
    if sys.platform == 'darwin' or any(os.environ.get(name) for name in ('DISPLAY', 'WAYLAND_DISPLAY')):
        threading.Timer(3.0, webbrowser.open, (url,)).start()
    return ['depth_ros.tools.depth_viewer', '--ros-args', '-p', f'port:={port}']


def graph_figures(graph: Graph) -> dict[str, Any]:
    """Return the figures that both demos report: counts, drops, age and start-up time."""
    listener, first_s = graph.listener, graph.start_to_first_depth_s
    return {
        'frames_sent': graph.frames_sent,
        'depth_received': listener.depth_received,
        'points_received': listener.points_received,
        'dropped': listener.dropped(),
        'age_ms': listener.age_percentiles(),
        'start_to_first_depth_s': None if first_s is None else round(first_s, 2),
    }


def print_results(report: dict[str, Any], accuracy: tuple[Row, ...]) -> None:
    """Print the table of results."""
    age = ' / '.join(f'{value:.0f}' if value is not None else '-' for value in report['age_ms'].values())
    dropped = ', '.join(f'{count} {reason}' for reason, count in report['dropped'].items()) or 'none'
    rows: tuple[Row, ...] = (
        ('frames sent by the camera', report['frames_sent'], ''),
        ('depth images received', report['depth_received'], ''),
        ('point clouds received', report['points_received'], ''),
        ('dropped by the node', dropped, 'a newer frame replaced them' if 'superseded' in dropped else ''),
        ('age at reception p50/p95/p99', f'{age} ms', ''),
        ('start to first depth', f'{report["start_to_first_depth_s"]} s', 'imports included'),
        *accuracy,
    )
    print()
    for name, value, remark in rows:
        print(f'  {name:<32}{value!s:<23} {remark}'.rstrip())
    print()


def write_results(graph: Graph, out: Path, report_path: Path, report: dict[str, Any], failures: list[str]) -> int:
    """Write depth image, cloud and report; print the paths and the failures; return the exit code.

    Raises:
        BadFile: a file cannot be written.
    """
    depth_m, points = graph.listener.depth_m(), graph.listener.points
    if depth_m is not None:
        write_image_file(out / 'depth_turbo.png', colorize(depth_m))
    if points is not None:
        fields = read_points(points, [field.name for field in points.fields])
        write_ply(out / 'points.ply', Cloud(structured_to_unstructured(fields)))
    try:
        report_path.write_text(json.dumps({**report, 'passed': not failures}, indent=2) + '\n', encoding='utf-8')
    except OSError as error:
        raise BadFile(f'{report_path} cannot be written: {error.strerror}') from error
    print(f'wrote {out}/depth_turbo.png, {out}/points.ply and {report_path}')
    for failure in failures:
        print(f'FAILED: {failure}', file=sys.stderr)
    return 1 if failures else 0
