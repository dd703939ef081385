"""The package as a whole: builds with colcon, installs with pip, metadata agree, examples and scripts run."""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import depth_ros
from depth_ros.files.share import fastdds_profile, shared_file

ROOT = Path(__file__).parents[1]
# Names that rosdep resolves on Ubuntu (rosdistro: rosdep/python.yaml) or that are ROS packages.
KNOWN_KEYS = {
    'rclpy', 'builtin_interfaces', 'diagnostic_msgs', 'lifecycle_msgs', 'nav_msgs', 'rcl_interfaces', 'rosgraph_msgs', 'sensor_msgs', 'std_msgs', 'std_srvs', 'tf2_ros_py',
    'stereo_msgs', 'launch', 'launch_ros', 'cv_bridge', 'sensor_msgs_py', 'python3-numpy',
    'python3-opencv', 'python3-psutil', 'python3-tqdm', 'python3-yaml', 'python3-pytest', 'python3-hypothesis', 'python3-skimage',
}  # fmt: skip


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_colcon_builds_what_ros_expects(tmp_path):
    source = tmp_path / 'src/depth_ros'
    ignored = shutil.ignore_patterns(
        '.git', '.venv*', 'build', 'install', 'log', '*.egg-info', 'demo_output', '.*_cache'
    )
    shutil.copytree(ROOT, source, ignore=ignored)
    environment = {k: v for k, v in os.environ.items() if not k.startswith('PYTEST')}
    program = 'import sys; from colcon_core.command import main; sys.exit(main())'
    run(
        sys.executable,
        '-W',
        'ignore',
        '-c',
        program,
        'build',
        '--event-handlers',
        'console_direct+',
        cwd=tmp_path,
        env=environment,
    )
    install = tmp_path / 'install/depth_ros'
    for name in (
        'share/depth_ros/package.xml',
        'share/depth_ros/launch/stereo.launch.py',
        'share/depth_ros/config/stereo.yaml',
        'share/depth_ros/config/fastdds.xml',
        'share/depth_ros/config/depth.rviz',
        'share/ament_index/resource_index/packages/depth_ros',
    ):
        assert (install / name).is_file(), name
    for executable in ('stereo_depth', 'mono_depth', 'file_camera', 'sim_camera', 'depth_viewer', 'depth-ros'):
        assert os.access(install / 'lib/depth_ros' / executable, os.X_OK), executable


def test_package_xml_has_keys_that_rosdep_knows_and_the_version_of_the_code():
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    keys = {e.text for e in package if e.tag.endswith('depend')}
    assert keys <= KNOWN_KEYS
    assert package.findtext('version') == depth_ros.__version__
    assert f"version='{depth_ros.__version__}'" in (ROOT / 'setup.py').read_text()
    assert package.findtext('export/build_type') == 'ament_python'


def test_every_ros_package_that_is_imported_is_declared():
    declared = {e.text for e in ElementTree.parse(ROOT / 'package.xml').getroot() if e.tag.endswith('depend')}
    imported = set()
    for path in (*(ROOT / 'depth_ros').rglob('*.py'), *(ROOT / 'launch').glob('*.py')):
        imported |= set(re.findall(r'^\s*(?:from|import) (\w+)', path.read_text(), re.MULTILINE))
    ros = {
        name
        for name in imported
        if name.endswith(('_msgs', '_interfaces')) or name in ('rclpy', 'launch', 'launch_ros')
    }
    assert ros <= declared


def test_shared_files_are_found_from_a_workspace_too(tmp_path, monkeypatch):
    assert shared_file('config/fastdds.xml') == ROOT / 'config/fastdds.xml'
    variable, path = fastdds_profile()
    assert variable in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE') and Path(path).is_file()
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    assert fastdds_profile()[0] == 'FASTRTPS_DEFAULT_PROFILES_FILE'
    monkeypatch.setenv('ROS_DISTRO', 'kilted')
    assert fastdds_profile()[0] == 'FASTDDS_DEFAULT_PROFILES_FILE'


@pytest.mark.parametrize('example', sorted((ROOT / 'examples').glob('0*.py')), ids=lambda p: p.name)
def test_examples_run_and_are_short(example, tmp_path):
    output = run(sys.executable, str(example), cwd=tmp_path)
    assert output
    code = [line for line in example.read_text().splitlines() if line and not line.startswith(('"""', '#'))]
    assert len(code) < 20


def test_scripts_are_executable_and_valid_shell():
    for script in (ROOT / 'scripts/demo', ROOT / 'scripts/test', ROOT / '.ci/run'):
        assert os.access(script, os.X_OK)
        run('bash', '-n', str(script))


def test_links_of_the_documentation_lead_somewhere():
    for page in (ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *(ROOT / 'docs').glob('*.md')):
        for target in re.findall(r'\]\((?!https?:)([^)#]+)', page.read_text()):
            assert (page.parent / target).exists(), f'{page.name}: {target}'


@pytest.mark.parametrize(
    ('stubs', 'words'),
    [
        ({'uname': 'case $1 in -s) echo Linux;; *) echo aarch64;; esac'}, 'no ROS 2 wheels for Linux aarch64'),
        (dict.fromkeys(['python3', *(f'python3.{i}' for i in range(10, 14))], 'exit 1'), 'needs Python 3.10 to 3.13'),
    ],
)  # fmt: skip
def test_a_machine_that_cannot_be_prepared_gets_one_message(tmp_path, stubs, words):
    for name, body in stubs.items():
        (tmp_path / name).write_text(f'#!/bin/sh\n{body}\n')
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'VENV': str(tmp_path / 'venv')}
    environment.pop('ROS_DISTRO', None)
    command = ['bash', '-c', f'. {ROOT}/scripts/_environment.sh; prepare cpu']
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert result.returncode == 1
    assert words in result.stderr and len(result.stderr.splitlines()) <= 2
    assert not (tmp_path / 'venv').exists()


def test_a_sourced_ros_is_used_instead_of_wheels(tmp_path):
    """All but the installation itself: a python3 that has rclpy, whose venv and pip only note how they are called."""
    log = tmp_path / 'log'
    stub = f"""#!/bin/sh
case "$*" in
  *rclpy*|*version_info*) exit 0 ;;
  *venv*) echo "venv $*" >> {log}; mkdir -p {tmp_path}/venv/bin; cp "$0" {tmp_path}/venv/bin/python ;;
  *pip*) echo "pip $*" >> {log} ;;
esac
"""
    (tmp_path / 'python3').write_text(stub)
    (tmp_path / 'python3').chmod(0o755)
    environment = {
        **os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'VENV': str(tmp_path / 'venv'), 'ROS_DISTRO': 'kilted'
    }  # fmt: skip
    run('bash', '-c', f'. {ROOT}/scripts/_environment.sh; prepare cpu,demo', env=environment)
    calls = log.read_text()
    assert '--system-site-packages' in calls
    assert '[cpu,demo]' in calls and 'ros' not in calls.split('[')[1]
