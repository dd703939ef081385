"""``depth-ros view``: show a running depth node in the browser."""

import argparse

from depth_ros.cli.node_options import add_topic_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--host', default='127.0.0.1', help='address to bind to (127.0.0.1: this machine only)')
    parser.add_argument('--port', type=int, default=8080, help='port; if it is in use, another one is chosen (8080)')
    add_topic_options(parser)
    parser.add_argument(
        '--max-points', type=int, default=100_000, metavar='N', help='maximum number of points shown per cloud (100000)'
    )
    parser.add_argument(
        '--max-mb-s',
        type=float,
        default=25.0,
        metavar='MB',
        help='maximum rate of points for all browsers together, megabytes per second (25)',
    )


def run(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    from rclpy.parameter import Parameter

    from depth_ros.tools import depth_viewer

    values = [Parameter(name, value=getattr(options, name)) for name in ('host', 'port', 'max_points', 'max_mb_s')]
    arguments = ['--ros-args', *(part for remap in options.remaps for part in ('-r', ':='.join(remap)))]
    return depth_viewer.run(namespace=options.namespace, parameter_overrides=values, cli_args=arguments)
