"""ament_python package, which can also be installed with pip."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import setuptools
from setuptools import find_packages, setup

NAME = 'depth_ros'

# `colcon build --symlink-install` looks for executables in lib/<package>. Setuptools 80 has no such option and rejects
# it; therefore it is not in setup.cfg, next to that of `install`.
DEVELOP = {'develop': {'script_dir': f'$base/lib/{NAME}'}} if int(setuptools.__version__.split('.')[0]) < 80 else {}


def files(folder, pattern):
    """Return the files of a folder as distutils requires them: relative, as strings."""
    return [str(path) for path in sorted(Path(folder).glob(pattern))]


# pip installs the command depth-ros itself. In a ROS workspace, console scripts are in lib/<package>, which is not on
# PATH; the folder bin of the installation is.
BUILDS_WHEEL = any(command.endswith('_wheel') for command in sys.argv)
WORKSPACE_COMMAND = [] if BUILDS_WHEEL else [('bin', ['resource/bin/depth-ros'])]

# Maintainer and repository are set by the owner, only in package.xml.
PACKAGE = ElementTree.parse(Path(__file__).resolve().parent / 'package.xml').getroot()
MAINTAINER = PACKAGE.find('maintainer')

TEST = [
    'pytest>=6.2,<10',
    'hypothesis',
    'onnx',
    'ai-edge-litert',
    'flatbuffers',
    'huggingface_hub',
    'rosbags',
    'matplotlib',
    'h5py',
    'viser',
    'msgspec',
    'websockets',
    'selenium',
    'pillow',
    'tritonclient[grpc]',
]
LINT = ['pytest-cov', 'pytest-xdist', 'ruff>=0.14,<0.18', 'mypy>=1.19,<3', 'types-PyYAML', 'types-psutil', 'types-tqdm']

setup(
    name=NAME,
    version='0.1.0',
    description='Metric depth images and point clouds from camera images, on ROS 2',
    license='Apache-2.0',
    author=MAINTAINER.text,
    maintainer=MAINTAINER.text,
    maintainer_email=MAINTAINER.get('email'),
    url=PACKAGE.findtext('url'),
    python_requires='>=3.10',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={NAME: ['py.typed']},
    data_files=[
        *WORKSPACE_COMMAND,
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        (f'share/{NAME}/launch', files('launch', '*.launch.py')),
        (f'share/{NAME}/config', files('config', '*.*')),
        (f'share/{NAME}/config/models', files('config/models', '*.*')),
    ],
    install_requires=['numpy', 'pyyaml', 'psutil', 'tqdm'],
    extras_require={
        'onnxruntime': ['onnxruntime'],  # these three are the runtimes, with the names of their registry
        'litert': ['ai-edge-litert'],
        'torch': ['torch'],
        'cpu': ['opencv-python-headless<5', 'onnxruntime'],
        'gpu': ['opencv-python-headless<5', 'onnxruntime-gpu'],
        'ros': ['ros-rclpy', 'ros-rmw-fastrtps-cpp', 'ros-common-interfaces'],
        'ros-jazzy': ['ros-rclpy==7.1.6', 'ros-jazzy-rmw-fastrtps-cpp', 'ros-jazzy-common-interfaces'],
        'remote': ['tritonclient[grpc]'],
        'hub': ['huggingface_hub'],
        'bags': ['rosbags>=0.11'],
        'eval': ['matplotlib', 'h5py'],
        'view': ['viser'],
        'fleet': ['fsspec', 's3fs'],
        'ray': ['ray[client]'],
        'test-fleet': ['s3fs', 'moto[server]', 'ray'],  # for the tests that skip without them; large
        'export': ['torch', 'transformers', 'diffusers', 'onnx', 'onnxruntime', 'huggingface_hub'],
        'quantize': ['onnx', 'onnxruntime'],
        'demo': ['scikit-image'],
        'test': TEST,  # colcon test looks for pytest here; with pytest-cov, it would always measure coverage
        'dev': [*TEST, *LINT],
        'colcon': ['colcon-core', 'colcon-ros'],
    },
    zip_safe=False,
    options=DEVELOP,
    entry_points={
        'console_scripts': [
            'stereo_depth = depth_ros.ros.stereo_depth:main',
            'mono_depth = depth_ros.ros.mono_depth:main',
            'multiview_depth = depth_ros.ros.multiview_depth:main',
            'sim_camera = depth_ros.tools.sim_camera:main',
            'file_camera = depth_ros.tools.file_camera:main',
            'depth_viewer = depth_ros.tools.depth_viewer:main',
            'depth-ros = depth_ros.cli.main:main',
        ],
    },
)
