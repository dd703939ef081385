"""Several cameras in one process: one ``mono_depth`` node per camera, in its own namespace, and a shared network."""

import re
import sys
from collections.abc import Callable, Sequence

from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node
from rclpy.parameter import Parameter

from depth_ros.errors import BadSettings
from depth_ros.networks.runtimes.progress import ProgressListener
from depth_ros.networks.shared_network import SharedEstimator, SharedNetworks
from depth_ros.ros.estimator_swap import estimator_key
from depth_ros.ros.mono_node import MonoDepthNode, node_estimator
from depth_ros.settings.node_settings import MonoSettings


def make_nodes() -> list[MonoDepthNode]:
    """Return one node for every name in the parameter ``cameras``; a single node if the parameter is not set.

    Raises:
        BadSettings: ``cameras`` is not a list of names, or a name occurs twice or is not a valid namespace.
    """
    root = Node('mono_depth')
    try:
        names = _checked(list(root.declare_parameter('cameras', Parameter.Type.STRING_ARRAY).value or ()))
        name, namespace = root.get_name(), root.get_namespace().rstrip('/')
    except InvalidParameterTypeException as error:
        raise BadSettings(f'cameras is not a list of names; expected for example [front, left]: {error}') from error
    finally:
        root.destroy_node()
    if not names:
        return [MonoDepthNode()]
    make_estimator = sharing_estimators(len(names))
    # Global arguments would move all nodes into one namespace. The other arguments apply to every camera.
    arguments = [*_without_name_rules(sys.argv), '-r', f'__node:={name}']
    return [
        MonoDepthNode(
            make_estimator,
            namespace=f'{namespace}/{camera}',
            cli_args=[*arguments, '--'],
            use_global_arguments=False,
        )
        for camera in names
    ]


def sharing_estimators(cameras: int) -> Callable[[MonoSettings, ProgressListener], SharedEstimator]:
    """Return a function that makes estimators for several cameras; cameras with equal settings share one network."""
    networks = SharedNetworks()

    def make_estimator(settings: MonoSettings, listener: ProgressListener) -> SharedEstimator:
        return networks.get(estimator_key(settings), lambda: node_estimator(settings, listener, cameras))

    return make_estimator


def _checked(names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if not re.fullmatch(r'[A-Za-z][A-Za-z0-9_]*', name):
            raise BadSettings(
                f"cameras contains '{name}'; expected names of letters, digits and underscores, because each name is a "
                'namespace'
            )
        if names.count(name) > 1:
            raise BadSettings(f"cameras contains '{name}' {names.count(name)} times; expected every name once")
    return names


def _without_name_rules(arguments: Sequence[str]) -> list[str]:
    """Return the ROS arguments without the remapping rules for node name and namespace."""
    kept: list[str] = ['--ros-args']
    remaining = list(arguments[arguments.index('--ros-args') + 1 :]) if '--ros-args' in arguments else []
    while remaining:
        argument = remaining.pop(0)
        if argument in ('-r', '--remap') and remaining and re.match(r'(\w+:)?__(ns|node|name):=', remaining[0]):
            remaining.pop(0)
        elif argument not in ('--ros-args', '--'):
            kept.append(argument)
    return kept
