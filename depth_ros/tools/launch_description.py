"""What the launch files of all depth nodes are made of. Imports launch, which comes with a ROS 2 installation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from ament_index_python.packages import PackageNotFoundError
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, SubstitutionFailure
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage

from depth_ros.errors import BadSettings
from depth_ros.files.installed_files import fastdds_profile, shared_file
from depth_ros.settings.common_settings import Settings
from depth_ros.settings.parameter_table import defaults, rules
from launch import LaunchContext, LaunchDescription

_BOOL = ('true', 'false', 'True', 'False')
_LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')


class _Argument(NamedTuple):
    name: str
    default: str
    meaning: str
    choices: tuple[str, ...] = ()


def describe(
    executable: str,
    settings: type[Settings],
    params_file: str,
    inputs: Mapping[str, str],
    parameters: Sequence[str],
    several_cameras: bool = False,
) -> LaunchDescription:
    """Return the arguments, the node and, on request, RViz and the page.

    All arguments are checked before any process starts.

    Args:
        executable: The node, of this package.
        settings: Its table of parameters.
        params_file: The YAML file that is used unless another one is given.
        inputs: Topics; each gets an argument with its slashes as underscores. A ``camera_info`` names the topic of the
            images that it belongs to, and is expected beside them unless its argument is given.
        parameters: Names of parameters that get an argument, with dots as underscores; an argument that is given wins
            over the file.
        several_cameras: Declare the argument ``cameras``.
    """
    rviz_file = str(shared_file('config/depth.rviz'))
    variable, profile = fastdds_profile()

    def check(context: LaunchContext) -> None:
        _check(context, settings, parameters, several_cameras)

    def nodes(context: LaunchContext) -> list[Node]:
        values = context.launch_configurations
        topics = _topics(values, inputs)
        started = [_node(values, executable, _given(values, settings, parameters, several_cameras), topics)]
        return [*started, _rviz(values, rviz_file, topics)] if _is_true(values['rviz']) else started

    return LaunchDescription([
        *(
            DeclareLaunchArgument(
                argument.name,
                default_value=argument.default,
                description=argument.meaning,
                choices=list(argument.choices) or None,
            )
            for argument in _arguments(executable, settings, params_file, inputs, parameters, several_cameras)
        ),
        OpaqueFunction(function=check),
        SetEnvironmentVariable(
            variable,
            EnvironmentVariable(variable, default_value=profile),
            condition=IfCondition(LaunchConfiguration('shared_memory')),
        ),
        OpaqueFunction(function=nodes),
        Node(
            package='depth_ros',
            executable='depth_viewer',
            namespace=LaunchConfiguration('namespace'),
            condition=IfCondition(LaunchConfiguration('view')),
        ),
    ])  # fmt: skip


def _arguments(
    executable: str,
    settings: type[Settings],
    params_file: str,
    inputs: Mapping[str, str],
    parameters: Sequence[str],
    several_cameras: bool,
) -> list[_Argument]:
    arguments = [
        _Argument('name', executable, 'Name of the node.'),
        _Argument('namespace', '', 'Namespace of the node and of all topics.'),
        _Argument('params_file', str(shared_file(params_file)), 'YAML file of parameters.'),
        _Argument('log_level', 'info', 'Least severe messages that are logged.', _LOG_LEVELS),
        _Argument('use_sim_time', 'false', 'Take the time from /clock.', _BOOL),
        _Argument('autostart', 'true', 'Configure and activate at once; false under a lifecycle manager.', _BOOL),
        _Argument('rviz', 'false', 'Start RViz in the same namespace (needs the package rviz2).', _BOOL),
        _Argument('view', 'false', 'Serve the page about the node on http://127.0.0.1:8080 (needs viser).', _BOOL),
        _Argument('shared_memory', 'true', "Use the package's Fast DDS profile, unless another one is set.", _BOOL),
    ]
    for name in parameters:
        rule = rules(settings)[name]
        choices = ('', *rule.choices) if rule.choices else ()
        text = f'Parameter {name}. {rule.description} Empty: as in params_file.'
        arguments.append(_Argument(_argument(name), '', text, choices))
    if several_cameras:
        text = 'Names of several cameras in this process, such as [front, left, rear]; each is a namespace.'
        arguments.append(_Argument('cameras', '', text))
    for topic, image in inputs.items():
        meaning = f'Topic to use for {topic}.'
        if image:
            meaning += f' Empty: camera_info in the namespace of {_argument(image)}.'
        arguments.append(_Argument(_argument(topic), '' if image else topic, meaning))
    return arguments


def _argument(name: str) -> str:
    """Return the launch argument for a parameter or a topic."""
    return name.replace('.', '_').replace('/', '_')


def _is_true(value: str) -> bool:
    return value.lower() == 'true'


def _check(context: LaunchContext, settings: type[Settings], parameters: Sequence[str], several_cameras: bool) -> None:
    """Refuse what cannot work while nothing has been started yet.

    Raises:
        BadSettings: an argument has the wrong type or is out of range, or what it asks for is missing.
    """
    values = context.launch_configurations
    _given(values, settings, parameters, several_cameras)
    if not Path(values['params_file']).is_file():
        raise BadSettings(f'params_file is {values["params_file"]}, which does not exist; expected a YAML file')
    if _is_true(values['rviz']):
        try:
            ExecutableInPackage('rviz2', 'rviz2').perform(context)
        except (PackageNotFoundError, SubstitutionFailure) as error:
            raise BadSettings(
                'rviz is true and the package rviz2 is not installed. Install it (sudo apt install '
                'ros-$ROS_DISTRO-rviz2), or use rviz:=false'
            ) from error


def _given(
    values: Mapping[str, str], settings: type[Settings], parameters: Sequence[str], several_cameras: bool
) -> dict[str, Any]:
    """Return the parameters that arguments set, by name, with the types that the node declares.

    Raises:
        BadSettings: a value has the wrong type or is out of range.
    """
    texts = {name: values[_argument(name)] for name in parameters if values[_argument(name)]}
    given = {
        name: text if isinstance(defaults(settings)[name], str) else yaml.safe_load(text)
        for name, text in texts.items()
    }
    # One that has choices was checked by launch; alone it may contradict a default that params_file changes.
    checked = {name: value for name, value in given.items() if not rules(settings)[name].choices}
    settings().changed(checked)
    given |= {name: float(checked[name]) for name in checked if isinstance(defaults(settings)[name], float)}
    if several_cameras and values['cameras']:
        given['cameras'] = _camera_names(values)
    return given


def _camera_names(values: Mapping[str, str]) -> list[str]:
    try:
        names = yaml.safe_load(values.get('cameras') or '[]')
    except yaml.YAMLError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadSettings(f"cameras is '{values['cameras']}'; expected a list of names such as [front, left]")
    return names


def _topics(values: Mapping[str, str], inputs: Mapping[str, str]) -> dict[str, str]:
    """Return the topic to use for every input."""
    topics: dict[str, str] = {}
    for topic, image in inputs.items():
        namespace, slash, _ = topics[image].rpartition('/') if image else ('', '', '')
        topics[topic] = values[_argument(topic)] or f'{namespace}{slash}camera_info'
    return topics


def _node(values: Mapping[str, str], executable: str, given: Mapping[str, Any], topics: Mapping[str, str]) -> Node:
    given = {**given, **{name: _is_true(values[name]) for name in ('use_sim_time', 'autostart')}}
    return Node(
        package='depth_ros',
        executable=executable,
        name=values['name'],
        namespace=values['namespace'],
        remappings=_remappings(topics),
        # Not by name of the node, so that they reach every camera's node where there are several; later ones win.
        arguments=[
            '--ros-args',
            '--log-level',
            values['log_level'],
            '--params-file',
            values['params_file'],
            *(word for name, value in given.items() for word in ('-p', f'{name}:={_yaml(value)}')),
        ],
        output='screen',
    )


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'[{", ".join(value)}]' if isinstance(value, list) else str(value)


def _rviz(values: Mapping[str, str], file: str, topics: Mapping[str, str]) -> Node:
    """Return RViz in the namespace of the node, or of the first camera: the topics in its file are relative."""
    return Node(
        package='rviz2',
        executable='rviz2',
        namespace='/'.join([values['namespace'], *_camera_names(values)[:1]]),
        # DepthCloud looks for the camera_info of relative topics in the root namespace.
        # upstream: image_transport::getCameraInfoTopic (image_common)
        remappings=[*_remappings(topics), ('/depth/camera_info', 'depth/camera_info')],
        arguments=['-d', file],
    )


def _remappings(topics: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        *topics.items(),
        *((f'{topic}/compressed', f'{used}/compressed') for topic, used in topics.items() if 'info' not in topic),
    ]
