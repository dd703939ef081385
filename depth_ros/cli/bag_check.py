"""``depth-ros bag check``: check recorded depth against limits, for automatic tests. Needs no ROS."""

import argparse
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from depth_ros.cli.argument_types import ros_namespace
from depth_ros.errors import BadFile

if TYPE_CHECKING:
    from depth_ros.evaluation.recording_check import LimitResult, Reference

_EPILOG = """limits.yaml, for example:
  valid_share: {min: 0.8}
  rate_hz: {min: 9, max: 31}
  age_p99_ms: {max: 100}
  drop_share: {max: 0.02}
  flicker: {max: 0.01}
  abs_rel: {max: 0.05}        # with --reference"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument('source', type=Path, metavar='BAG', help='a recording with depth/image_rect')
    parser.add_argument(
        '--limits', type=Path, metavar='FILE', help='YAML file of limits; without it, only the figures are printed'
    )
    parser.add_argument(
        '--reference',
        metavar='REF',
        help='reference depth: a topic of BAG (/truth/depth), a topic of another bag (drive:/truth/depth), or another '
        'bag with depth/image_rect',
    )
    parser.add_argument(
        '--max-apart-ms',
        type=float,
        default=20.0,
        metavar='MS',
        help='largest difference between the stamps of depth and reference, milliseconds (20)',
    )
    parser.add_argument(
        '--namespace', type=ros_namespace, default='', metavar='/NS', help='namespace of depth/image_rect'
    )
    parser.add_argument('--junit', type=Path, metavar='FILE', help='write the results as JUnit XML')
    parser.add_argument('--json', action='store_true', help='print figures and results as JSON')


def run(options: argparse.Namespace) -> int:
    """Measure the recording and compare it with the limits; return 1 if a limit is violated."""
    from depth_ros.evaluation.recording_check import FIGURES, check_limits, measure, read_limits

    limits = read_limits(options.limits) if options.limits else {}
    namespace = options.namespace.rstrip('/')
    figures = measure(options.source, namespace, _reference(options, namespace))
    verdicts = check_limits(figures, limits)
    broken = [verdict for verdict in verdicts if not verdict.kept]
    if options.junit:
        _write_junit(options.junit, options.source, verdicts)
    if options.json:
        print(
            json.dumps({'figures': figures, 'verdicts': [asdict(v) for v in verdicts], 'passed': not broken}, indent=1)
        )
        return 1 if broken else 0
    for name, value in figures.items():
        results = [f'{v.kind} {v.limit:g} {"ok" if v.kept else "VIOLATED"}' for v in verdicts if v.figure == name]
        if value is not None or results:
            number = '-' if value is None else f'{value:.4g}'
            print(f'  {name:<18} {number:>10}  {", ".join(results):<24} {FIGURES[name]}')
    for verdict in broken:
        print(f'FAILED: {verdict.describe()}')
    return 1 if broken else 0


def _reference(options: argparse.Namespace, namespace: str) -> 'Reference | None':
    from depth_ros.evaluation.recording_check import Reference

    text = options.reference
    if not text:
        return None
    if Path(text).exists():
        return Reference(f'{namespace}/depth/image_rect', Path(text), options.max_apart_ms)
    bag, _, topic = text.rpartition(':')
    if not topic.startswith('/') or (bag and not Path(bag).exists()):
        raise BadFile(
            f"--reference is '{text}'; expected a topic that begins with a slash, a bag that exists, or both as "
            'BAG:/topic'
        )
    return Reference(topic, Path(bag) if bag else None, options.max_apart_ms)


def _write_junit(path: Path, source: Path, verdicts: 'list[LimitResult]') -> None:
    failures = sum(not verdict.kept for verdict in verdicts)
    suite = ElementTree.Element(
        'testsuite', name=f'depth-ros bag check {source.name}', tests=str(len(verdicts)), failures=str(failures)
    )
    for verdict in verdicts:
        case = ElementTree.SubElement(suite, 'testcase', classname=source.name, name=f'{verdict.figure} {verdict.kind}')
        if not verdict.kept:
            ElementTree.SubElement(case, 'failure', message=verdict.describe())
    try:
        ElementTree.ElementTree(suite).write(path, encoding='utf-8', xml_declaration=True)
    except OSError as error:
        raise BadFile(f'{path} cannot be written: {error.strerror}') from error
