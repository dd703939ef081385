"""``depth-ros``: what can be done without writing a launch file."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from depth_ros import __version__
from depth_ros.errors import DepthRosError
from depth_ros.files.install_command import install_command

_EPILOG = """examples:
  depth-ros demo                                        a real pair through a ROS 2 graph, measured
  depth-ros infer --left l.png --right r.png \\
            --left-info left.yaml --right-info right.yaml --out result
                                                        files in, metric depth and a point cloud out; no ROS
  depth-ros infer --model my_model.yaml --image street.mp4 --out result
                                                        the same with a network of yours
  depth-ros doctor                                      what keeps a node from working here, and what repairs it
  depth-ros view                                        a running node in the browser
  depth-ros bag process drive drive_depth               depth of every frame of a recording; no ROS
  depth-ros eval --model my_model.yaml sim:1            how good it is, with a report
  depth-ros bench stages --width 1280 --height 720      what our code costs around the estimator
  depth-ros bench graph --rate 30 --seconds 10          rate, age and drops of a whole graph

each command has its own --help. On a robot: ros2 launch depth_ros stereo.launch.py"""


_COMMANDS = (
    ('demo', 'demo', 'Run a real stereo pair through a real ROS 2 graph, and measure the result.'),
    ('doctor', 'doctor', 'Find what keeps a node from working here, and what repairs it.'),
    (
        'infer',
        'infer',
        'Turn files into depth and a point cloud: a stereo pair, or pictures; needs no ROS.',
    ),
    ('bag process', 'bag_process', 'Write a bag with the depth of every frame of another one.'),
    (
        'bag check',
        'bag_check',
        'Hold a recording of depth against limits; exit code 1 if one is broken.',
    ),
    ('bag play', 'bag_play', 'Publish a recording on a live graph, for those without ros2 bag.'),
    ('bag info', 'bag_info', 'Say what a recording holds and what is wrong with it: what can be processed.'),
    ('eval', 'eval', 'Measure how good depth is, on pictures whose depth is known; needs no ROS.'),
    ('eval compare', 'eval_compare', 'Put two reports side by side.'),
    ('view', 'view', 'Show a running depth node in the browser: cloud, pictures, age, parameters.'),
    ('models', 'models', 'List, show, check and export networks.'),
    ('bench stages', 'bench_stages', 'Measure every stage that our code adds around the estimator.'),
    ('bench graph', 'bench_graph', 'Measure rate, age, drops and memory of camera, node and listener.'),
)
_OF_ROS = (
    'rclpy',
    'sensor_msgs',
    'std_msgs',
    'diagnostic_msgs',
    'builtin_interfaces',
    'rcl_interfaces',
    'rosgraph_msgs',
)
_GROUPS = {
    'bag': 'Work from recordings; needs no ROS, except for playing them.',
    'bench': 'Measure speed on this machine.',
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
        if (error.name or '').partition('.')[0] not in _OF_ROS:
            raise
        print(
            f'depth-ros: this command starts ROS 2 nodes, and {error.name} is not installed: source '
            f'/opt/ros/<distro>/setup.bash, or {install_command("ros")}',
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class _Parser(argparse.ArgumentParser):
    """Reports an unknown argument with the usage of the command that it was given to, not of ``depth-ros``."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; sub-commands are parsed by this method of their own parsers."""
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
    asked = next((name for n in (2, 1) if (name := ' '.join(arguments[:n])) in known), '')
    for name, module_name, text in _COMMANDS:
        group, _, last = name.rpartition(' ')
        if group in known:  # a command that has commands below it, of which one is asked for at a time
            if name != asked:
                continue
            groups[group] = commands.add_parser(group).add_subparsers(metavar='WHAT')
        elif asked.startswith(f'{name} '):
            continue
        command = groups.get(group, commands).add_parser(last, help=text, description=text)
        if name == asked:
            module = importlib.import_module(f'depth_ros.cli.{module_name}')  # only what is asked for: some need ROS
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser.parse_args(arguments)


if __name__ == '__main__':
    sys.exit(main())
