"""``depth-ros eval compare``: compare two reports of ``depth-ros eval``."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('a', type=Path, metavar='A', help='folder or report.json written by depth-ros eval')
    parser.add_argument('b', type=Path, metavar='B', help='folder or report.json of the same dataset to compare with A')
    parser.add_argument('--json', action='store_true', help='print the comparison as JSON')


def run(options: argparse.Namespace) -> int:
    """Print the figures over the frames that both reports contain."""
    from depth_ros.evaluation.comparable_settings import format_parameters
    from depth_ros.evaluation.report import HIGHER_IS_BETTER, compare, read_report

    a, b = read_report(options.a), read_report(options.b)
    compared, frames = compare(a, b)
    if options.json:
        print(json.dumps({'frames': frames, 'figures': [asdict(figure) for figure in compared]}, indent=1))
        return 0
    for letter, report in (('A', a), ('B', b)):
        print(f'{letter}: {report["estimator"]} on {report["dataset"]} ({report["protocol"]})')
        print(f'   settings: {format_parameters(report.get("settings", {}))}')
    print(f'{frames} frames in both\n  {"figure":<12} {"A":>10} {"B":>10} {"change":>9}   frames better, worse in B')
    for row in compared:
        change = f'{(row.b - row.a) / row.a:+.1%}' if row.a else '-'
        better = (row.b > row.a) == (row.figure in HIGHER_IS_BETTER) if row.a != row.b else None
        verdict = '' if better is None else 'better' if better else 'worse'
        print(
            f'  {row.figure:<12} {row.a:>10.4f} {row.b:>10.4f} {change:>9}   '
            f'{row.better_in_b:>4}, {row.worse_in_b:<4} {verdict}'.rstrip()
        )
    return 0
