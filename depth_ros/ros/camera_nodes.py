"""Several cameras in one process: a ``mono_depth`` node for each, in its own namespace, and one network for all."""

import re
import sys
from collections.abc import Callable, Sequence

from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node
from rclpy.parameter import Parameter

from depth_ros.errors import BadSettings
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.networks.shared_network import SharedEstimator, SharedNetworks
from depth_ros.pipeline import mono_estimator
from depth_ros.ros.estimator_swap import estimator_key
from depth_ros.ros.mono_node import MonoDepthNode
from depth_ros.settings.node_settings import MonoSettings


def make_nodes() -> list[MonoDepthNode]:
    """Return one node for every name in the parameter ``cameras``, or a single node if there is none.

    Raises:
        BadSettings: ``cameras`` is no list of names, or one occurs twice or cannot be a namespace.
    """
    root = Node('mono_depth')
    try:
        names = _checked(list(root.declare_parameter('cameras', Parameter.Type.STRING_ARRAY).value or ()))
        name, namespace = root.get_name(), root.get_namespace().rstrip('/')
    except InvalidParameterTypeException as error:
        raise BadSettings(f'cameras is no list of names; expected such as [front, left]: {error}') from error
    finally:
        root.destroy_node()
    if not names:
        return [MonoDepthNode()]
    share = sharing_estimators(len(names))
    # Global arguments would move all nodes into one namespace; everything else of them is for every camera.
    arguments = [*_without_names(sys.argv), '-r', f'__node:={name}']
    return [
        MonoDepthNode(share, namespace=f'{namespace}/{camera}', cli_args=[*arguments, '--'], use_global_arguments=False)
        for camera in names
    ]


def sharing_estimators(cameras: int) -> Callable[[MonoSettings, ProgressListener], SharedEstimator]:
    """Return what makes the estimators of so many cameras: those that ask for the same network share it."""
    sharing = SharedNetworks()

    def share(settings: MonoSettings, watch: ProgressListener) -> SharedEstimator:
        return sharing.get(estimator_key(settings), lambda: mono_estimator(settings, watch, cameras))

    return share


def _checked(names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if not re.fullmatch(r'[A-Za-z][A-Za-z0-9_]*', name):
            raise BadSettings(f"cameras has '{name}'; expected names of letters, digits and _, which become namespaces")
        if names.count(name) > 1:
            raise BadSettings(f"cameras has '{name}' {names.count(name)} times; expected every name once")
    return names


def _without_names(arguments: Sequence[str]) -> list[str]:
    """Return the ROS arguments without the rules that name the node and its namespace."""
    kept: list[str] = ['--ros-args']
    ours = list(arguments[arguments.index('--ros-args') + 1 :]) if '--ros-args' in arguments else []
    while ours:
        word = ours.pop(0)
        if word in ('-r', '--remap') and ours and re.match(r'(\w+:)?__(ns|node|name):=', ours[0]):
            ours.pop(0)
        elif word not in ('--ros-args', '--'):
            kept.append(word)
    return kept
