"""``depth-ros bag play``: publish a recording on a live graph."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'source', type=Path, metavar='BAG', help='folder of a rosbag2 recording (sqlite3, mcap, compressed)'
    )
    parser.add_argument('--rate', type=float, default=1.0, help='playback speed relative to the recording (1)')
    parser.add_argument('--loop', action='store_true', help='repeat until Ctrl-C')
    parser.add_argument('--clock', action='store_true', help='publish /clock, for nodes with use_sim_time: true')


def run(options: argparse.Namespace) -> int:
    """Play until the end of the recording or Ctrl-C."""
    from depth_ros.bags.bag_reader import Bag
    from depth_ros.ros import node_process
    from depth_ros.tools.bag_player import BagPlayer

    Bag(options.source).close()  # an unreadable bag is reported before a node is created
    return node_process.run(lambda: BagPlayer(options.source, options.rate, options.loop, options.clock), [])
