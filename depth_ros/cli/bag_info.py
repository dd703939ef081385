"""``depth-ros bag info``: what a recording holds and what is wrong with it."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('source', type=Path, metavar='BAG', help='rosbag2: a folder (sqlite3, mcap, compressed)')
    parser.add_argument('--json', action='store_true', help='as JSON')


def run(options: argparse.Namespace) -> int:
    """Print topics, rates, gaps, stamps, skew, calibrations."""
    from depth_ros.bags.bag_summary import summarize_bag

    found = summarize_bag(options.source)
    if options.json:
        print(json.dumps(asdict(found), indent=2))
        return 0
    print(f'{options.source}: {found.seconds:.1f} s')
    for topic in found.topics:
        rate = f'{topic.rate_hz:6.1f} Hz' if topic.rate_hz else '        -'
        gap = [f'a gap of {topic.longest_gap_s:.1f} s'] if topic.longest_gap_s else []
        remarks = ', '.join([*gap, *topic.problems])
        print(f'  {topic.name:<36} {topic.messages:>6} {rate}  {topic.type}{f"  ! {remarks}" if remarks else ""}')
    for remark in found.remarks:
        print(f'note: {remark}')
    for camera in found.cameras or ['no camera whose topics a node would take (left/image_rect …, or image)']:
        print(camera)
    return 0
