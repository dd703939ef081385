"""Start `mono_depth`. `ros2 launch depth_ros mono.launch.py --show-args` lists the arguments."""

from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from depth_ros.files.share import fastdds_profile, shared_file
from launch import LaunchDescription


def generate_launch_description():
    """Declare the arguments, then the node and, on request, RViz."""
    arguments = [
        ('model', 'sim-indoor', 'id of a network (depth-ros models list), or the path of its manifest or ONNX file'),
        ('name', 'mono_depth', 'name of the node'),
        ('namespace', '', 'namespace of the node and of all topics'),
        ('params_file', str(shared_file('config/mono.yaml')), 'YAML file of parameters'),
        ('log_level', 'info', 'debug, info, warn or error'),
        ('use_sim_time', 'false', 'take the time from /clock'),
        ('autostart', 'true', 'configure and activate at once; false under a lifecycle manager'),
        ('rviz', 'false', 'start RViz beside it'),
        ('shared_memory', 'true', "use the package's Fast DDS profile, unless another one is set"),
        ('image', 'image', 'topic to use for image'),
        ('camera_info', 'camera_info', 'topic to use for camera_info'),
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
            executable='mono_depth',
            name=LaunchConfiguration('name'),
            namespace=LaunchConfiguration('namespace'),
            parameters=[
                LaunchConfiguration('params_file'),
                {'model': ParameterValue(LaunchConfiguration('model'), value_type=str)},
                {
                    name: ParameterValue(LaunchConfiguration(name), value_type=bool)
                    for name in ('use_sim_time', 'autostart')
                },
            ],
            remappings=[
                ('image', LaunchConfiguration('image')),
                ('image/compressed', [LaunchConfiguration('image'), '/compressed']),
                ('camera_info', LaunchConfiguration('camera_info')),
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
