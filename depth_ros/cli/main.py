"""Entry point of the command line ``depth-ros``."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from depth_ros import __version__
from depth_ros.doctor.shared_memory import full_shared_memory
from depth_ros.errors import DepthRosError
from depth_ros.files.install_command import install_command

_EPILOG = """examples:
  depth-ros demo                                        run a stereo pair through a ROS 2 graph and measure it
  depth-ros infer --left l.png --right r.png \\
            --left-info left.yaml --right-info right.yaml --out result
                                                        depth and point cloud of a stereo pair; needs no ROS
  depth-ros infer --model my_model.yaml --image street.mp4 --out result
                                                        depth of a video with your own network
  depth-ros doctor                                      find problems of nodes and topics, and how to fix them
  depth-ros view                                        show a running node in the browser
  depth-ros bag process drive drive_depth               depth of every frame of a recording; needs no ROS
  depth-ros eval --model my_model.yaml sim:1            accuracy of a network, with a report
  depth-ros bench stereo Middlebury/trainingH           accuracy and run time of stereo matchers
  depth-ros bench multiview                             accuracy of depth from one moving camera
  depth-ros bench stages --width 1280 --height 720      time of the stages around the estimator
  depth-ros bench graph --rate 30 --seconds 10          rate, age and drops of a whole graph

Every command has its own --help. To start a node: ros2 launch depth_ros stereo.launch.py"""


_COMMANDS = (
    ('demo', 'demo', 'Run a stereo pair through a ROS 2 graph and compare the depth with ground truth.'),
    ('doctor', 'doctor', 'Find problems that prevent a node from working, and print how to fix them.'),
    (
        'infer',
        'infer',
        'Compute depth and a point cloud from files: a stereo pair, or single images. Needs no ROS.',
    ),
    (
        'bag process',
        'bag_process',
        'Compute the depth of every frame of a bag and write it to a new bag. Needs no ROS.',
    ),
    (
        'bag check',
        'bag_check',
        'Check recorded depth against limits; exit code 1 if a limit is violated. Needs no ROS.',
    ),
    ('bag play', 'bag_play', 'Publish a recording on a live ROS graph, where ros2 bag is not installed.'),
    ('bag info', 'bag_info', 'List topics, rates, calibrations and problems of a recording. Needs no ROS.'),
    ('eval', 'eval', 'Measure the accuracy of depth on images with ground truth. Needs no ROS.'),
    ('eval compare', 'eval_compare', 'Compare two reports of depth-ros eval.'),
    ('view', 'view', 'Show a running depth node in the browser: cloud, images, age and parameters.'),
    ('models', 'models', 'List, show, download, check, measure and export networks.'),
    (
        'bench stereo',
        'bench_stereo',
        'Compare stereo matchers on pairs with true disparity: accuracy and run time. Needs no ROS.',
    ),
    (
        'bench multiview',
        'bench_multiview',
        'Measure accuracy and run time of depth from one moving camera. Needs no ROS.',
    ),
    ('bench stages', 'bench_stages', 'Measure the time of every stage around the estimator.'),
    ('bench graph', 'bench_graph', 'Measure rate, age, drops and memory of camera, node and listener.'),
)
_ON_A_GRAPH = ('demo', 'view', 'bag play', 'bench stages', 'bench graph')
"""Commands that import rclpy whatever their options; doctor reports a full /dev/shm itself."""
_ROS_PACKAGES = (
    'rclpy',
    'sensor_msgs',
    'std_msgs',
    'diagnostic_msgs',
    'builtin_interfaces',
    'rcl_interfaces',
    'rosgraph_msgs',
)
_GROUPS = {
    'bag': 'Process, check, list and play recordings.',
    'bench': 'Measure speed on this machine, and the accuracy of stereo matchers and multi-view depth.',
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    try:
        options = _parsed(list(sys.argv[1:] if arguments is None else arguments))
        return int(options.run(options))
    except DepthRosError as error:
        print(f'depth-ros: {error}', file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or '').partition('.')[0] not in _ROS_PACKAGES:
            raise
        print(
            f'depth-ros: this command starts ROS 2 nodes, and {error.name} is not installed: source '
            f'/opt/ros/<distro>/setup.bash, or {install_command("ros")}',
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the process that reads the output (head, less) has exited
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class _Parser(argparse.ArgumentParser):
    """A parser that reports an unknown argument with the usage of its command instead of that of ``depth-ros``."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse and reject unknown arguments; the parsers of sub-commands use the same method."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f'unrecognized arguments: {" ".join(unknown)}')
        return options, unknown


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog='depth-ros',
        description='Camera images in, metric depth and point clouds out.',
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'depth_ros {__version__}')
    commands = parser.add_subparsers(metavar='COMMAND', required=True)
    groups = {}
    for name, text in _GROUPS.items():
        group_parser = commands.add_parser(name, help=text, description=text)
        groups[name] = group_parser.add_subparsers(metavar='WHAT', required=True)
    known = [name for name, _, _ in _COMMANDS]
    requested = next((name for n in (2, 1) if (name := ' '.join(arguments[:n])) in known), '')
    for name, module_name, text in _COMMANDS:
        group, _, last = name.rpartition(' ')
        if group in known:  # a sub-command of a command that also runs alone, such as eval compare
            if name != requested:
                continue
            groups[group] = commands.add_parser(group).add_subparsers(metavar='WHAT')
        elif requested.startswith(f'{name} '):
            continue
        command = groups.get(group, commands).add_parser(last, help=text, description=text)
        if name == requested:
            if name in _ON_A_GRAPH and (problem := full_shared_memory()):
                raise DepthRosError(problem)
            module = importlib.import_module(f'depth_ros.cli.{module_name}')  # only the requested one: some need ROS
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser.parse_args(arguments)


if __name__ == '__main__':
    sys.exit(main())
