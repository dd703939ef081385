"""The launch description shared by the launch files of all depth nodes. Imports launch, which is part of ROS 2."""

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
_VIEW = 'Show the node or the first camera in the browser, at http://127.0.0.1:8080 (needs viser).'
_LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')


class _Argument(NamedTuple):
    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()


def describe(
    executable: str,
    settings: type[Settings],
    params_file: str,
    inputs: Mapping[str, str],
    parameters: Sequence[str],
    several_cameras: bool = False,
) -> LaunchDescription:
    """Return the launch arguments, the node and, if requested, RViz and the viewer.

    All arguments are checked before any process is started.

    Args:
        executable: Executable of the node, in this package.
        settings: Parameter table of the node.
        params_file: Default of the argument ``params_file``.
        inputs: Input topics; the value is '' or, for a ``camera_info``, the topic of its image. Every topic gets an
            argument, with slashes replaced by underscores. If the argument of a ``camera_info`` is empty, the topic
            ``camera_info`` in the namespace of the image is used.
        parameters: Names of the parameters that get an argument, with dots replaced by underscores; an argument that is
            set overrides the file.
        several_cameras: Declare the argument ``cameras``.
    """
    rviz_file = str(shared_file('config/depth.rviz'))
    variable, profile = fastdds_profile()

    def check(context: LaunchContext) -> None:
        _check(context, settings, parameters, several_cameras)

    def nodes(context: LaunchContext) -> list[Node]:
        values = context.launch_configurations
        topics = _topics(values, inputs)
        node = _node(values, executable, _parameter_values(values, settings, parameters, several_cameras), topics)
        displays = {'rviz': _rviz(values, rviz_file, topics), 'view': _viewer(values, topics)}
        return [node, *(display for argument, display in displays.items() if _is_true(values[argument]))]

    return LaunchDescription([
        *(
            DeclareLaunchArgument(
                argument.name,
                default_value=argument.default,
                description=argument.description,
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
        _Argument('params_file', str(shared_file(params_file)), 'Parameter file (YAML).'),
        _Argument('log_level', 'info', 'Lowest severity of messages that are logged.', _LOG_LEVELS),
        _Argument('use_sim_time', 'false', 'Use the time of /clock.', _BOOL),
        _Argument('autostart', 'true', 'Configure and activate at start; false with a lifecycle manager.', _BOOL),
        _Argument('rviz', 'false', 'Start RViz for the node or the first camera (needs the package rviz2).', _BOOL),
        _Argument('view', 'false', _VIEW, _BOOL),
        _Argument('shared_memory', 'true', 'Use the Fast DDS profile of this package unless another is set.', _BOOL),
    ]
    for name in parameters:
        rule = rules(settings)[name]
        choices = ('', *rule.choices) if rule.choices else ()
        text = f'Parameter {name}. {rule.description} Empty: the value in params_file.'
        arguments.append(_Argument(_argument(name), '', text, choices))
    if several_cameras:
        text = 'Names of several cameras in one process, such as [front, left, rear]; each name is a namespace.'
        arguments.append(_Argument('cameras', '', text))
    for topic, image in inputs.items():
        text = f'Topic to use for {topic}.'
        if image:
            text += f' Empty: camera_info in the namespace of {_argument(image)}.'
        arguments.append(_Argument(_argument(topic), '' if image else topic, text))
    return arguments


def _argument(name: str) -> str:
    """Return the name of the launch argument for a parameter or a topic."""
    return name.replace('.', '_').replace('/', '_')


def _is_true(value: str) -> bool:
    return value.lower() == 'true'


def _check(context: LaunchContext, settings: type[Settings], parameters: Sequence[str], several_cameras: bool) -> None:
    """Check the arguments before any process is started.

    Raises:
        BadSettings: an argument has the wrong type or is out of range, or a file or package that it needs is missing.
    """
    values = context.launch_configurations
    _parameter_values(values, settings, parameters, several_cameras)
    if not Path(values['params_file']).is_file():
        raise BadSettings(f'params_file is {values["params_file"]}, which does not exist; expected a YAML file')
    if _is_true(values['rviz']):
        try:
            ExecutableInPackage('rviz2', 'rviz2').perform(context)
        except (PackageNotFoundError, SubstitutionFailure) as error:
            raise BadSettings(
                'rviz is true, but the package rviz2 is not installed. Install it (sudo apt install '
                'ros-$ROS_DISTRO-rviz2), or use rviz:=false'
            ) from error


def _parameter_values(
    values: Mapping[str, str], settings: type[Settings], parameters: Sequence[str], several_cameras: bool
) -> dict[str, Any]:
    """Return the parameters that are set by arguments, by name, with the types that the node declares.

    Raises:
        BadSettings: a value has the wrong type or is out of range.
    """
    texts = {name: values[_argument(name)] for name in parameters if values[_argument(name)]}
    parsed = {
        name: text if isinstance(defaults(settings)[name], str) else yaml.safe_load(text)
        for name, text in texts.items()
    }
    # Parameters with choices are checked by launch. They are left out here because such a value may contradict a
    # default that params_file overrides.
    checked = {name: value for name, value in parsed.items() if not rules(settings)[name].choices}
    settings().changed(checked)
    parsed |= {name: float(checked[name]) for name in checked if isinstance(defaults(settings)[name], float)}
    if several_cameras and values['cameras']:
        parsed['cameras'] = _camera_names(values)
    return parsed


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


def _node(values: Mapping[str, str], executable: str, parameters: Mapping[str, Any], topics: Mapping[str, str]) -> Node:
    parameters = {**parameters, **{name: _is_true(values[name]) for name in ('use_sim_time', 'autostart')}}
    return Node(
        package='depth_ros',
        executable=executable,
        name=values['name'],
        namespace=values['namespace'],
        remappings=_remappings(topics),
        # Without the name of a node, so that they apply to the node of every camera; later arguments override earlier.
        arguments=[
            '--ros-args',
            '--log-level',
            values['log_level'],
            '--params-file',
            values['params_file'],
            *(text for name, value in parameters.items() for text in ('-p', f'{name}:={_yaml(value)}')),
        ],
        output='screen',
    )


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'[{", ".join(value)}]' if isinstance(value, list) else str(value)


def _rviz(values: Mapping[str, str], file: str, topics: Mapping[str, str]) -> Node:
    """Return RViz in the namespace of the node, because the topics in its file are relative."""
    return Node(
        package='rviz2',
        executable='rviz2',
        namespace=_displayed_namespace(values),
        # DepthCloud expects the camera_info of relative topics in the root namespace.
        # upstream: image_transport::getCameraInfoTopic (image_common)
        remappings=[*_remappings(topics), ('/depth/camera_info', 'depth/camera_info')],
        arguments=['-d', file],
    )


def _viewer(values: Mapping[str, str], topics: Mapping[str, str]) -> Node:
    """Return the viewer in the namespace of the node that it shows."""
    return Node(
        package='depth_ros',
        executable='depth_viewer',
        namespace=_displayed_namespace(values),
        remappings=_remappings(topics),
    )


def _displayed_namespace(values: Mapping[str, str]) -> str:
    """Return the namespace of the node, or of the first of several cameras."""
    return '/'.join([values['namespace'], *_camera_names(values)[:1]])


def _remappings(topics: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        *topics.items(),
        *((f'{topic}/compressed', f'{target}/compressed') for topic, target in topics.items() if 'info' not in topic),
    ]
