"""The package as a whole: builds with colcon, installs with pip, metadata agree, examples and scripts run."""

import ast
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import yaml
from scenes import calibrations as small_calibrations
from scenes import pair, write_info

import depth_ros
from depth_ros.files.installed_files import fastdds_profile, shared_file
from depth_ros.messages.drop_reasons import DropReason

ROOT = Path(__file__).parents[1]
# Names that rosdep resolves on Ubuntu (rosdistro: rosdep/python.yaml) or that are ROS packages.
KNOWN_KEYS = {
    'rclpy', 'ament_index_python', 'builtin_interfaces', 'diagnostic_msgs', 'lifecycle_msgs', 'nav_msgs', 'rcl_interfaces', 'rosgraph_msgs', 'sensor_msgs', 'std_msgs', 'std_srvs', 'tf2_ros_py',
    'stereo_msgs', 'launch', 'launch_ros', 'cv_bridge', 'sensor_msgs_py', 'python3-numpy',
    'python3-opencv', 'python3-psutil', 'python3-tqdm', 'python3-yaml', 'python3-pytest', 'python3-hypothesis', 'python3-skimage',
    'geometry_msgs', 'rviz2', 'python3-matplotlib', 'python3-h5py', 'python3-onnxruntime-pip', 'python3-rosbags-pip',
    'python3-selenium', 'python3-websockets', 'python3-pil',
}  # fmt: skip
IMPORTED_AS = {
    'cv2': 'python3-opencv', 'yaml': 'python3-yaml', 'numpy': 'python3-numpy', 'psutil': 'python3-psutil', 'tqdm': 'python3-tqdm',
    'skimage': 'python3-skimage', 'matplotlib': 'python3-matplotlib', 'h5py': 'python3-h5py', 'onnxruntime': 'python3-onnxruntime-pip',
    'rosbags': 'python3-rosbags-pip', 'tf2_ros': 'tf2_ros_py', 'pytest': 'python3-pytest',
    'hypothesis': 'python3-hypothesis', 'selenium': 'python3-selenium', 'websockets': 'python3-websockets', 'PIL': 'python3-pil',
}  # fmt: skip
WITHOUT_KEY = {
    'onnx',
    'ai_edge_litert',
    'flatbuffers',
    'viser',
    'torch',
    'transformers',
    'diffusers',
    'msgspec',
    'huggingface_hub',
    'tritonclient',
    'grpc',
    'fsspec',
    'ray',
    's3fs',
    'moto',
}
"""Libraries installed with pip (README.md). They have no rosdep key, except huggingface_hub, whose dependency anyio
stops the pytest 6.2 of Ubuntu 22.04."""
INSTALLED_AS = {
    'cv2': 'opencv-python-headless',
    'yaml': 'pyyaml',
    'skimage': 'scikit-image',
    'PIL': 'pillow',
    'ai_edge_litert': 'ai-edge-litert',
    'grpc': 'tritonclient',
}


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def colcon(*arguments, cwd):
    environment = {k: v for k, v in os.environ.items() if not k.startswith('PYTEST')}
    program = 'import sys; from colcon_core.command import main; sys.exit(main())'
    return run(sys.executable, '-W', 'ignore', '-c', program, *arguments, cwd=cwd, env=environment)


@pytest.fixture(scope='module')
def workspace(tmp_path_factory):
    """Return a workspace built with colcon."""
    root = tmp_path_factory.mktemp('workspace')
    ignored = shutil.ignore_patterns(
        '.git', '.venv*', 'build', 'install', 'log', '*.egg-info', 'demo_output', '.*_cache'
    )
    shutil.copytree(ROOT, root / 'src/depth_ros', ignore=ignored)
    colcon('build', '--event-handlers', 'console_direct+', cwd=root)
    return root


@pytest.mark.slow
def test_colcon_installs_the_files_that_ros_expects(workspace):
    install = workspace / 'install/depth_ros'
    for name in (
        'share/depth_ros/package.xml',
        'share/depth_ros/launch/stereo.launch.py',
        'share/depth_ros/config/stereo.yaml',
        'share/depth_ros/config/fastdds.xml',
        'share/depth_ros/config/depth.rviz',
        'share/ament_index/resource_index/packages/depth_ros',
    ):
        assert (install / name).is_file(), name
    for executable in (
        'stereo_depth',
        'mono_depth',
        'multiview_depth',
        'file_camera',
        'sim_camera',
        'depth_viewer',
        'depth-ros',
    ):
        assert os.access(install / 'lib/depth_ros' / executable, os.X_OK), executable


@pytest.mark.slow
def test_a_sourced_workspace_has_the_command_on_its_path(workspace):
    where, version = run(
        'sh', '-c', f'. {workspace}/install/local_setup.sh && command -v depth-ros && depth-ros --version'
    ).splitlines()
    assert Path(where) == workspace / 'install/depth_ros/bin/depth-ros' and depth_ros.__version__ in version


@pytest.mark.slow
def test_colcon_test_runs_pytest(workspace):
    colcon('test', '--pytest-args', 'test/messages/test_stamps.py', cwd=workspace)
    results = ElementTree.parse(workspace / 'build/depth_ros/pytest.xml').getroot().find('testsuite').attrib
    assert int(results['tests']) > 0 and results['failures'] == results['errors'] == '0'


def test_package_xml_has_keys_that_rosdep_knows_and_the_version_of_the_code():
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    keys = {e.text for e in package if e.tag.endswith('depend')}
    assert keys <= KNOWN_KEYS
    assert package.findtext('version') == depth_ros.__version__
    assert f"version='{depth_ros.__version__}'" in (ROOT / 'setup.py').read_text()
    assert package.findtext('export/build_type') == 'ament_python'


def test_the_owner_is_stated_once_and_setup_py_reads_it():
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    stated = run(
        sys.executable, '-W', 'ignore', 'setup.py', '--maintainer', '--maintainer-email', '--url', cwd=ROOT
    ).split('\n')
    maintainer = package.find('maintainer')
    assert stated[:3] == [maintainer.text, maintainer.get('email'), package.findtext('url')]
    assert 'To be set by the owner' in (ROOT / 'package.xml').read_text()


def test_the_changelog_has_the_format_of_ros_packages():
    text = (ROOT / 'CHANGELOG.rst').read_text()
    title = 'Changelog for package depth_ros'
    assert text.startswith(f'{"^" * len(title)}\n{title}\n{"^" * len(title)}\n\nForthcoming\n-----------\n* ')
    assert f'\n{depth_ros.__version__}\n{"-" * len(depth_ros.__version__)}\n* ' in text
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()


def test_the_configuration_of_rosdoc2_names_the_folder_of_the_documents():
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    _, configuration = yaml.safe_load_all((ROOT / package.findtext('export/rosdoc2')).read_text())
    (sphinx,) = (builder['sphinx'] for builder in configuration['builders'] if 'sphinx' in builder)
    assert list((ROOT / sphinx['user_doc_dir']).glob('*.md'))


def imports(*patterns):
    """Return the names of the packages that files import, without the standard library and our own modules."""
    files = [path for pattern in patterns for path in ROOT.glob(pattern)]
    found = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition('.')[0])
    ours = {'depth_ros', *(path.stem for path in (ROOT / 'test').rglob('*'))}
    return found - set(sys.stdlib_module_names) - ours


def test_everything_that_is_imported_has_its_rosdep_key_in_package_xml():
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    run_time, test = ({e.text for e in package.findall(kind)} for kind in ('exec_depend', 'test_depend'))

    def keys(names):
        return {IMPORTED_AS.get(name, name) for name in names - WITHOUT_KEY}

    assert keys(imports('depth_ros/**/*.py', 'launch/*.py')) <= run_time
    assert keys(imports('test/**/*.py', 'examples/*.py')) <= run_time | test


def test_everything_that_the_tests_import_is_in_setup_py():
    """Except ROS packages, which come as dependencies of those in the extra ros or with a sourced ROS."""
    stated = (ROOT / 'setup.py').read_text()
    for name in imports('test/**/*.py') - KNOWN_KEYS - {'tf2_ros'}:
        assert re.search(rf"'{INSTALLED_AS.get(name, name)}\W", stated), name


def test_opencv_comes_without_contributed_modules_and_below_version_5():
    assert "'opencv-python-headless<5'" in (ROOT / 'setup.py').read_text()
    assert 'contrib' not in (ROOT / 'setup.py').read_text()


def test_linters_are_bounded_so_that_a_new_release_breaks_nothing():
    for linter in ('ruff', 'mypy'):
        assert re.search(rf"'{linter}>=[\d.]+,<[\d.]+'", (ROOT / 'setup.py').read_text()), linter


def test_shared_files_are_found_from_a_workspace_too(tmp_path, monkeypatch):
    assert shared_file('config/fastdds.xml') == ROOT / 'config/fastdds.xml'
    variable, path = fastdds_profile()
    assert variable in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE') and Path(path).is_file()
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    assert fastdds_profile()[0] == 'FASTRTPS_DEFAULT_PROFILES_FILE'
    monkeypatch.setenv('ROS_DISTRO', 'kilted')
    assert fastdds_profile()[0] == 'FASTDDS_DEFAULT_PROFILES_FILE'


@pytest.mark.parametrize('example', sorted((ROOT / 'examples').glob('0*.py')), ids=lambda p: p.name)
def test_examples_are_short(example):
    body = ast.parse(example.read_text()).body
    assert body[-1].end_lineno - body[0].end_lineno < 45


def test_scripts_are_executable_and_valid_shell():
    for script in (ROOT / 'scripts/demo', ROOT / 'scripts/test', ROOT / '.ci/run'):
        assert os.access(script, os.X_OK)
        run('bash', '-n', str(script))


def test_links_of_the_documentation_exist():
    for page in (ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *(ROOT / 'docs').glob('*.md')):
        for target in re.findall(r'\]\((?!https?:)([^)#]+)', page.read_text()):
            assert (page.parent / target).exists(), f'{page.name}: {target}'


def test_the_page_about_diagnostics_lists_every_drop_reason_with_its_meaning():
    section = (ROOT / 'docs/diagnostics.md').read_text().partition('## Drop reasons')[2]
    rows = re.findall(r'^\| `(\w+)` \| (.+) \|$', section, re.M)
    assert [reason for reason, _ in rows] == [reason.value for reason in DropReason]
    assert all(len(meaning) > 10 for _, meaning in rows)


def test_contributing_names_every_module():
    """File names are unique, which test_imports.py checks."""
    tree = (ROOT / 'CONTRIBUTING.md').read_text().split('```')[1]
    modules = {path.name for path in (ROOT / 'depth_ros').rglob('*.py')} - {'__init__.py'}
    assert modules - set(re.findall(r'\w+\.py', tree)) == set()


def test_the_python_code_of_the_readme_runs(tmp_path):
    (code,) = re.findall(r'```python\n(.*?)```', (ROOT / 'README.md').read_text(), re.S)
    images, calibrations = pair(np.full((120, 160), 12.0, np.float32)), small_calibrations(160, 120)
    for side, image, calibration in zip(('left', 'right'), images, calibrations, strict=True):
        depth_ros.write_image(tmp_path / f'{side}.png', image)
        write_info(tmp_path / f'{side}.yaml', calibration)
    said = run(sys.executable, '-c', code, cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert said.startswith('(120, 160) Camera(width=160')
    assert {'depth.png', 'points.ply'} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ('stubs', 'words'),
    [
        ({'uname': 'case $1 in -s) echo Linux;; *) echo aarch64;; esac'}, 'no ROS 2 wheels for Linux aarch64'),
        (dict.fromkeys(['python3', *(f'python3.{i}' for i in range(10, 15))], 'exit 1'), 'needs Python 3.10 to 3.14'),
    ],
)  # fmt: skip
def test_a_machine_that_cannot_be_prepared_gets_one_message(tmp_path, stubs, words):
    for name, body in stubs.items():
        (tmp_path / name).write_text(f'#!/bin/sh\n{body}\n')
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'VENV': str(tmp_path / 'venv')}
    for variable in ('ROS_DISTRO', 'PYTHON'):
        environment.pop(variable, None)
    command = ['bash', '-c', f'. {ROOT}/scripts/_environment.sh; prepare cpu']
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert result.returncode == 1
    assert words in result.stderr and len(result.stderr.splitlines()) <= 2
    assert not (tmp_path / 'venv').exists()


def stub_python(folder, log, answers):
    """Write an interpreter whose venv and pip only log their arguments; ``answers``: patterns and exit codes."""
    cases = '\n'.join(f'  *{pattern}*) exit {code} ;;' for pattern, code in answers.items())
    (folder / 'python3').write_text(f"""#!/bin/sh
case "$*" in
{cases}
  *"-m venv"*) echo "venv $*" >> {log}; mkdir -p {folder}/venv/bin; cp "$0" {folder}/venv/bin/python ;;
  *pip*) echo "pip $*" >> {log} ;;
esac
""")
    (folder / 'python3').chmod(0o755)


@pytest.mark.parametrize('version_is_supported', [0, 1])
def test_a_sourced_ros_is_used_instead_of_wheels_with_any_version_of_python(tmp_path, version_is_supported):
    """Everything except the installation itself; python3 is a stub that has rclpy."""
    log = tmp_path / 'log'
    stub_python(tmp_path, log, {'rclpy': 0, 'ensurepip': 0, 'version_info': version_is_supported})
    environment = {
        **os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'VENV': str(tmp_path / 'venv'), 'ROS_DISTRO': 'kilted'
    }  # fmt: skip
    environment.pop('PYTHON', None)
    run('bash', '-c', f'. {ROOT}/scripts/_environment.sh; prepare cpu,demo', env=environment)
    calls = log.read_text()
    assert '--system-site-packages' in calls
    assert '[cpu,demo]' in calls and 'ros' not in calls.split('[')[1]
