"""Start `stereo_depth`. `ros2 launch depth_ros stereo.launch.py --show-args` lists the arguments."""

from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from depth_ros.files.share import fastdds_profile, shared_file
from launch import LaunchDescription

INPUTS = ('left/image_rect', 'left/camera_info', 'right/image_rect', 'right/camera_info')


def generate_launch_description():
    """Declare the arguments, then the node and, on request, RViz."""
    arguments = [
        ('name', 'stereo_depth', 'name of the node'),
        ('namespace', '', 'namespace of the node and of all topics'),
        ('params_file', str(shared_file('config/stereo.yaml')), 'YAML file of parameters'),
        ('log_level', 'info', 'debug, info, warn or error'),
        ('use_sim_time', 'false', 'take the time from /clock'),
        ('autostart', 'true', 'configure and activate at once; false under a lifecycle manager'),
        ('rviz', 'false', 'start RViz beside it'),
        ('shared_memory', 'true', "use the package's Fast DDS profile, unless another one is set"),
        *((topic.replace('/', '_'), topic, f'topic to use for {topic}') for topic in INPUTS),
    ]
    variable, profile = fastdds_profile()
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=value, description=text) for name, value, text in arguments),
        SetEnvironmentVariable(
            variable,
            EnvironmentVariable(variable, default_value=profile),
            condition=IfCondition(LaunchConfiguration('shared_memory')),
        ),
        Node(
            package='depth_ros',
            executable='stereo_depth',
            name=LaunchConfiguration('name'),
            namespace=LaunchConfiguration('namespace'),
            parameters=[
                LaunchConfiguration('params_file'),
                {
                    name: ParameterValue(LaunchConfiguration(name), value_type=bool)
                    for name in ('use_sim_time', 'autostart')
                },
            ],
            remappings=[
                remapping
                for topic in INPUTS
                for remapping in (
                    (topic, LaunchConfiguration(topic.replace('/', '_'))),
                    (f'{topic}/compressed', [LaunchConfiguration(topic.replace('/', '_')), '/compressed']),
                )
            ],
            arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
            output='screen',
        ),
        Node(
            package='rviz2',
            executable='rviz2',
            arguments=['-d', str(shared_file('config/depth.rviz'))],
            condition=IfCondition(LaunchConfiguration('rviz')),
        ),
    ])  # fmt: skip
