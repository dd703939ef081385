"""``depth-ros eval compare``: two reports side by side."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('a', type=Path, metavar='A', help='folder or report.json of depth-ros eval')
    parser.add_argument('b', type=Path, metavar='B', help='another one, of the same dataset')
    parser.add_argument('--json', action='store_true', help='as JSON')


def run(options: argparse.Namespace) -> int:
    """Print the figures of the frames that both have."""
    from depth_ros.evaluation.comparable_settings import format_parameters
    from depth_ros.evaluation.report import HIGHER_IS_BETTER, compare, read_report

    a, b = read_report(options.a), read_report(options.b)
    compared, frames = compare(a, b)
    if options.json:
        print(json.dumps({'frames': frames, 'figures': [asdict(each) for each in compared]}, indent=1))
        return 0
    for letter, report in (('A', a), ('B', b)):
        print(f'{letter}: {report["estimator"]} on {report["dataset"]} ({report["protocol"]})')
        print(f'   settings: {format_parameters(report.get("settings", {}))}')
    print(f'{frames} frames in both\n  {"figure":<12} {"A":>10} {"B":>10} {"change":>9}   frames better, worse in B')
    for each in compared:
        change = f'{(each.b - each.a) / each.a:+.1%}' if each.a else '-'
        better = (each.b > each.a) == (each.figure in HIGHER_IS_BETTER) if each.a != each.b else None
        verdict = '' if better is None else 'better' if better else 'worse'
        print(
            f'  {each.figure:<12} {each.a:>10.4f} {each.b:>10.4f} {change:>9}   '
            f'{each.better_in_b:>4}, {each.worse_in_b:<4} {verdict}'.rstrip()
        )
    return 0
