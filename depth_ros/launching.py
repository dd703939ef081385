"""What the launch files of all depth nodes are made of. Imports launch, which comes with a ROS 2 installation."""

from collections.abc import Mapping, Sequence

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node

from depth_ros.files.share import fastdds_profile, shared_file
from launch import LaunchContext, LaunchDescription

Argument = tuple[str, str, str]
"""Name, default, meaning."""
FROM_FILE = ' (empty: as params_file says)'


def describe(
    executable: str,
    params_file: str,
    inputs: Sequence[str],
    parameters: Mapping[str, str],
    meanings: Mapping[str, str],
) -> LaunchDescription:
    """Return the arguments, the node and, on request, RViz.

    Args:
        executable: Of this package.
        params_file: The YAML file that is used unless another one is given.
        inputs: Topics; each gets an argument with its slashes as underscores.
        parameters: Launch arguments that set parameters, by argument: they win over the file where they are given.
        meanings: Of these arguments, for ``--show-args``.
    """
    arguments: list[Argument] = [
        ('name', executable, 'name of the node'),
        ('namespace', '', 'namespace of the node and of all topics'),
        ('params_file', str(shared_file(params_file)), 'YAML file of parameters'),
        ('log_level', 'info', 'debug, info, warn or error'),
        ('use_sim_time', 'false', 'take the time from /clock'),
        ('autostart', 'true', 'configure and activate at once; false under a lifecycle manager'),
        ('rviz', 'false', 'start RViz beside it'),
        ('view', 'false', 'serve the page about the node on http://127.0.0.1:8080 (needs viser)'),
        ('shared_memory', 'true', "use the package's Fast DDS profile, unless another one is set"),
        *((name, '', f'{text}{FROM_FILE}') for name, text in meanings.items()),
        *((topic.replace('/', '_'), topic, f'topic to use for {topic}') for topic in inputs),
    ]
    variable, profile = fastdds_profile()

    def node(context: LaunchContext) -> list[Node]:
        return [_node(context, executable, inputs, parameters)]

    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=value, description=text) for name, value, text in arguments),
        SetEnvironmentVariable(
            variable,
            EnvironmentVariable(variable, default_value=profile),
            condition=IfCondition(LaunchConfiguration('shared_memory')),
        ),
        OpaqueFunction(function=node),
        Node(
            package='rviz2',
            executable='rviz2',
            arguments=['-d', str(shared_file('config/depth.rviz'))],
            condition=IfCondition(LaunchConfiguration('rviz')),
        ),
        Node(
            package='depth_ros',
            executable='depth_viewer',
            namespace=LaunchConfiguration('namespace'),
            condition=IfCondition(LaunchConfiguration('view')),
        ),
    ])  # fmt: skip


def _node(context: LaunchContext, executable: str, inputs: Sequence[str], parameters: Mapping[str, str]) -> Node:
    values = context.launch_configurations
    given = {parameter: values[argument] for argument, parameter in parameters.items() if values[argument]}
    given |= {name: values[name].lower() for name in ('use_sim_time', 'autostart')}
    topics = {topic: values[topic.replace('/', '_')] for topic in inputs}
    return Node(
        package='depth_ros',
        executable=executable,
        name=values['name'],
        namespace=values['namespace'],
        remappings=[
            *topics.items(),
            *((f'{topic}/compressed', f'{used}/compressed') for topic, used in topics.items()),
        ],
        # Not by name of the node, so that they reach every camera's node where there are several; later ones win.
        arguments=[
            '--ros-args',
            '--log-level',
            values['log_level'],
            '--params-file',
            values['params_file'],
            *(word for name, value in given.items() for word in ('-p', f'{name}:={value}')),
        ],
        output='screen',
    )
