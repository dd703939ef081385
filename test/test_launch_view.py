"""`view:=true` of the launch files starts the viewer: with launch where it is installed, otherwise its executable."""

import signal
import urllib.request

import pytest
from domains import free_port
from graph import Graph, MonoGraph, NodeProcess, Spinner, wait_for
from rclpy.parameter import Parameter
from test_launch import NO_LAUNCH, run_launch
from tiny_model import model

from depth_ros.files.installed_files import shared_file
from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.settings.parameter_table import rules
from depth_ros.tools.depth_viewer import DepthViewer

if not NO_LAUNCH:
    from launch.utilities import perform_substitutions

    from launch import LaunchContext

pytestmark = pytest.mark.ros
PORT = 8080


def page_answers(port=PORT):
    """Return whether a page is served on this machine."""
    try:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}', timeout=5) as answer:
            return answer.status == 200 and b'<html' in answer.read().lower()
    except OSError:
        return False


@pytest.mark.slow
def test_the_executable_serves_the_page_for_its_namespace_and_ends_cleanly():
    port = free_port()
    arguments = ('--ros-args', '-r', '__ns:=/front', '-p', f'port:={port}')
    with (
        Graph(node=False, listen=(), namespace='/front') as graph,
        NodeProcess(graph.domain, *arguments, module='depth_ros.tools.depth_viewer') as viewer,
    ):
        wait_for(lambda: page_answers(port), what='the page is not served')
        wait_for(lambda: ('depth_viewer', '/front') in graph.probe.get_node_names_and_namespaces())
        viewer.signal()
        code, output, _ = viewer.end()
    assert code == 0 and f'open http://127.0.0.1:{port} in a browser' in output, output


@pytest.mark.parametrize(
    ('kind', 'table', 'name'),
    [(Graph, StereoSettings, 'eyes'), (MonoGraph, MonoSettings, 'eye')],
    ids=['stereo', 'mono'],
)
def test_the_page_is_about_the_node_of_its_namespace_whatever_its_name(kind, table, name):
    with kind(listen=(), namespace='/front', cli_args=['--ros-args', '-r', f'__node:={name}']) as graph:
        viewer = DepthViewer(
            context=graph.context, namespace='/front', parameter_overrides=[Parameter('port', value=free_port())]
        )
        spinner = Spinner(graph.context, viewer)
        try:
            wait_for(lambda: viewer._shown_node == f'front/{name}', what='the node was not found')
            numbers = {
                parameter for parameter, rule in rules(table).items() if rule.maximum is not None and not rule.read_only
            }
            wait_for(lambda: numbers <= set(viewer.page._parameters), what='its parameters are not shown')
            assert set(viewer.page._parameters) <= set(rules(table))
        finally:
            spinner.close()
            viewer.stop()
            viewer.destroy_node()


@pytest.mark.skipif(bool(NO_LAUNCH), reason=NO_LAUNCH)
@pytest.mark.parametrize('file', ['stereo', 'mono'])
@pytest.mark.parametrize('view', [True, False], ids=['view', 'no view'])
def test_view_starts_the_page_in_the_node_s_namespace_and_ends_it_with_the_node(tmp_path, file, view):
    assert not page_answers(), f'port {PORT} of this machine is in use'
    arguments = ['namespace:=front', 'name:=eye', *(['view:=true'] if view else [])]
    if file == 'mono':
        arguments.append(f'model:={model(tmp_path)}')
    with Graph(node=False, listen=(), namespace='/front') as graph:
        launch = run_launch(graph.domain, *arguments, file=file)
        try:
            graph.wait_for_status('')
            expected = {('eye', '/front'), ('depth_viewer', '/front')} if view else {('eye', '/front')}
            if view:
                wait_for(page_answers, what='the page is not served')
            wait_for(lambda: expected <= set(graph.probe.get_node_names_and_namespaces()))
            assert set(graph.probe.get_node_names_and_namespaces()) == {*expected, ('probe', '/front')}
            assert page_answers() == view
        finally:
            launch.send_signal(signal.SIGINT)
            output, _ = launch.communicate(timeout=15)
    assert launch.returncode == 0 and output.count('process has finished cleanly') == 1 + view, output
    assert not page_answers()


@pytest.mark.skipif(bool(NO_LAUNCH), reason=NO_LAUNCH)
def test_of_several_cameras_the_page_shows_the_first(tmp_path):
    with Graph(node=False, listen=(), namespace='/robot') as graph:
        arguments = ('namespace:=robot', 'cameras:=[front, rear]', f'model:={model(tmp_path)}', 'view:=true')
        launch = run_launch(graph.domain, *arguments, file='mono')
        try:
            expected = {('depth_viewer', '/robot/front'), ('mono_depth', '/robot/front'), ('mono_depth', '/robot/rear')}
            wait_for(
                lambda: expected <= set(graph.probe.get_node_names_and_namespaces()),
                30.0,
                graph.probe.get_node_names_and_namespaces,
            )
        finally:
            launch.send_signal(signal.SIGINT)
            output, _ = launch.communicate(timeout=15)
    assert launch.returncode == 0, output


@pytest.mark.skipif(bool(NO_LAUNCH), reason=NO_LAUNCH)
def test_the_page_receives_the_image_of_a_remapped_topic():
    from depth_ros.tools.launch_description import _viewer

    viewer = _viewer({'namespace': 'front'}, {'image': '/camera/image', 'camera_info': '/camera/camera_info'})
    context = LaunchContext()
    remapped = {
        perform_substitutions(context, topic): perform_substitutions(context, target)
        for topic, target in viewer._Node__remappings
    }
    assert remapped['image'] == '/camera/image'


def test_the_launch_files_start_an_executable_that_exists():
    text = shared_file('depth_ros/tools/launch_description.py').read_text()
    assert "executable='depth_viewer'" in text and "'view': _viewer(" in text
