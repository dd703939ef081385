"""``depth-ros bag``: recordings in, depth out, and what a recording holds. No ROS."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from depth_ros.errors import BadFile, BadSettings
from depth_ros.parameter_table import defaults
from depth_ros.settings import MonoSettings, StereoSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(metavar='ACTION', required=True)
    process = actions.add_parser('process', help='write a bag with the depth of every frame of another one')
    process.add_argument('source', type=Path, metavar='IN', help='rosbag2: a folder (sqlite3, mcap, compressed)')
    process.add_argument('target', type=Path, metavar='OUT', help='the new bag; must not exist')
    process.add_argument(
        '--node', choices=('stereo_depth', 'mono_depth'), default='stereo_depth', help='whose work it is (stereo_depth)'
    )
    process.add_argument('--params', type=Path, metavar='FILE', help='parameters of the node, as ros2 run takes them')
    process.add_argument(
        '-p', action='append', default=[], metavar='NAME:=VALUE', dest='parameters', help='a parameter; wins over FILE'
    )
    process.add_argument('--namespace', default='', metavar='/NS', help="of the camera's topics, and of the results")
    process.add_argument('--keep-inputs', action='store_true', help="copy the camera's messages too")
    process.add_argument('--mcap', action='store_true', help='write mcap instead of sqlite3')
    process.add_argument('--json', action='store_true', help='print the figures as JSON')
    process.set_defaults(action=_process)
    info = actions.add_parser('info', help='topics, rates, gaps, stamps, skew, calibrations: what can be processed')
    info.add_argument('source', type=Path, metavar='BAG')
    info.add_argument('--json', action='store_true', help='as JSON')
    info.set_defaults(action=_info)


def run(options: argparse.Namespace) -> int:
    """Do what was asked.

    Raises:
        BadFile: rosbags is not installed.
    """
    try:
        import rosbags  # noqa: F401
    except ImportError as error:
        raise BadFile(f'bags need the library rosbags ({error}): pip install depth_ros[bags]') from error
    return int(options.action(options))


def _process(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from depth_ros.bags.process import process

    kind = MonoSettings if options.node == 'mono_depth' else StereoSettings
    settings = kind().changed(_parameters(options, defaults(kind).keys()))

    def progress(jobs: Iterable[Any], count: int) -> Iterable[Any]:
        return tqdm(jobs, total=count, unit='frame', disable=options.json)

    report = process(
        options.source,
        options.target,
        settings,
        options.namespace.rstrip('/'),
        options.keep_inputs,
        options.mcap,
        progress,
    )
    if options.json:
        print(json.dumps(asdict(report)))
        return 0
    dropped = ', '.join(f'{count} {reason}' for reason, count in sorted(report.dropped.items())) or 'none'
    rate = report.written / report.seconds
    print(
        f'{options.target}: {report.written} frames in {report.seconds:.1f} s ({rate:.1f} a second), '
        f'not used: {dropped}'
    )
    return 0


def _info(options: argparse.Namespace) -> int:
    from depth_ros.bags.info import look

    found = look(options.source)
    if options.json:
        print(json.dumps(asdict(found), indent=2))
        return 0
    print(f'{options.source}: {found.seconds:.1f} s')
    for topic in found.topics:
        rate = f'{topic.rate_hz:6.1f} Hz' if topic.rate_hz else '        -'
        gap = [f'a gap of {topic.longest_gap_s:.1f} s'] if topic.longest_gap_s else []
        remarks = ', '.join([*gap, *topic.problems])
        print(f'  {topic.name:<36} {topic.messages:>6} {rate}  {topic.type}{f"  ! {remarks}" if remarks else ""}')
    for camera in found.cameras or ['no camera whose topics a node would take (left/image_rect …, or image)']:
        print(camera)
    return 0


def _parameters(options: argparse.Namespace, known: Iterable[str]) -> dict[str, Any]:
    """Return what the file and the options say, flat; entries of a file for other nodes and of launching are left out.

    Raises:
        BadFile: the file cannot be read.
        BadSettings: an option is not of the form name:=value.
    """
    found: dict[str, Any] = {}
    if options.params:
        try:
            content = yaml.safe_load(options.params.read_text(encoding='utf-8')) or {}
            sections = [content[key] for key in ('/**', options.node, f'/{options.node}') if key in content]
            for section in sections:
                found |= _flat(section['ros__parameters'])
        except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
            raise BadFile(f'{options.params} cannot be read as parameters: {type(error).__name__}: {error}') from error
    for each in options.parameters:
        name, separator, value = each.partition(':=')
        if not separator:
            raise BadSettings(f"-p '{each}'; expected name:=value")
        found[name] = yaml.safe_load(value)
    ignored = {'use_sim_time', 'cameras'}
    return {name: value for name, value in found.items() if name in known or name not in ignored}


def _flat(section: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in section.items():
        found |= _flat(value, f'{prefix}{name}.') if isinstance(value, dict) else {f'{prefix}{name}': value}
    return found
