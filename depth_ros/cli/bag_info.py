"""``depth-ros bag info``: topics, rates, calibrations and problems of a recording."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'source', type=Path, metavar='BAG', help='folder of a rosbag2 recording (sqlite3, mcap, compressed)'
    )
    parser.add_argument('--json', action='store_true', help='print the summary as JSON')


def run(options: argparse.Namespace) -> int:
    """Print topics, rates, gaps, stamps, skew and calibrations."""
    from depth_ros.bags.bag_summary import summarize_bag

    summary = summarize_bag(options.source)
    if options.json:
        print(json.dumps(asdict(summary), indent=2))
        return 0
    print(f'{options.source}: {summary.seconds:.1f} s')
    for topic in summary.topics:
        rate = f'{topic.rate_hz:6.1f} Hz' if topic.rate_hz else '        -'
        gap = [f'a gap of {topic.longest_gap_s:.1f} s'] if topic.longest_gap_s else []
        remarks = ', '.join([*gap, *topic.problems])
        print(f'  {topic.name:<36} {topic.messages:>6} {rate}  {topic.type}{f"  ! {remarks}" if remarks else ""}')
    for remark in summary.remarks:
        print(f'note: {remark}')
    no_camera = 'no camera found; expected topics such as left/image_rect and right/image_rect, or image'
    for camera in summary.cameras or [no_camera]:
        print(camera)
    return 0
