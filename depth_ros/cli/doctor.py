"""``depth-ros doctor``: find problems that prevent a node from working, and print how to fix them."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from depth_ros.cli.node_options import add_node_options, node_settings, ros_parameters
from depth_ros.doctor.shared_memory import full_shared_memory
from depth_ros.errors import BadSettings, ModelError
from depth_ros.files.install_command import install_command

if TYPE_CHECKING:
    from depth_ros.doctor.finding import Finding
    from depth_ros.doctor.observations import Observations
    from depth_ros.settings.node_settings import NodeSettings

_MARKS = {'ok': 'ok     ', 'warning': 'WARNING', 'fault': 'FAULT  '}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_node_options(parser, multiview=True)
    parser.add_argument('--seconds', type=float, default=3.0, help='how long to listen on the ROS graph (3)')
    parser.add_argument(
        '--offline', action='store_true', help='check only the parameters and this machine, not the ROS graph'
    )
    parser.add_argument('--json', action='store_true', help='print the findings as JSON')


def run(options: argparse.Namespace) -> int:
    """Run all checks; return 1 if a fault prevents the node from working."""
    findings = []
    for finding in _findings(options):
        findings.append(finding)
        if not options.json:
            _print(finding)
    faults, warnings = (sum(f.level == level for f in findings) for level in ('fault', 'warning'))
    if options.json:
        print(json.dumps({'works': not faults, 'findings': [asdict(f) for f in findings]}, indent=1))
    else:
        verdict = f'{options.node} cannot work here' if faults else f'{options.node} can work here'
        print(f'\n{verdict}: {faults} fault(s), {warnings} warning(s)')
    return 1 if faults else 0


def _findings(options: argparse.Namespace) -> 'Iterator[Finding]':
    from depth_ros.doctor.finding import Finding
    from depth_ros.doctor.machine_checks import network_findings
    from depth_ros.doctor.topic_checks import graph_findings
    from depth_ros.doctor.transport_checks import transport_findings

    try:
        settings = node_settings(options)
    except (BadSettings, ModelError) as error:
        options.node = options.node or 'the node'
        yield Finding(
            'fault',
            'parameters',
            str(options.params or '-p'),
            str(error),
            'the node cannot be configured',
            'see docs/parameters.md for names, types and ranges',
        )
        return
    yield Finding('ok', 'parameters', str(options.params or 'defaults'), f'valid for {options.node}')
    yield from network_findings(settings)
    if options.offline:
        return
    if problem := full_shared_memory():
        what, _, fix = problem.partition('. ')
        yield Finding('fault', 'ros', 'Fast DDS', what, 'importing rclpy would end this process', fix)
        return
    try:
        from depth_ros.tools.graph_observer import observe
    except ImportError as error:
        yield Finding(
            'fault',
            'ros',
            'rclpy',
            f'cannot be imported: {error}',
            'the nodes need ROS 2',
            f'source /opt/ros/<distro>/setup.bash, or {install_command("ros")}',
        )
        return
    parameters = {k: v for k, v in ros_parameters(options).items() if k.startswith(('qos_overrides.', 'use_sim_time'))}
    remaps = [':='.join(remap) for remap in options.remaps]
    try:
        observations = observe(settings, options.seconds, options.namespace, remaps, parameters)
    except BadSettings as error:
        yield Finding('fault', 'qos', 'qos_overrides', str(error), 'the node cannot subscribe', 'correct the override')
        return
    yield from graph_findings(observations, settings)
    yield from transport_findings(*_largest_message(observations, settings))


def _largest_message(observations: 'Observations', settings: 'NodeSettings') -> tuple[str, int]:
    """Return description and size in bytes of the largest message that the node receives or publishes."""
    images = [topic for topic in observations.topics if 'image' in topic.role and topic.last is not None]
    sizes: dict[str, Any] = {f'an image of {topic.topic}': topic.largest_bytes for topic in images}
    if images and hasattr(images[0].last, 'width'):
        pixels = images[0].last.width * images[0].last.height
        sizes['a depth image'] = pixels * 4
        sizes['a cloud'] = pixels // settings.cloud_stride**2 * (16 if settings.cloud_fields == 'xyzrgb' else 12)
    largest = max(sizes, key=lambda name: sizes[name], default='no message')
    return largest, sizes.get(largest, 0)


def _print(finding: 'Finding') -> None:
    print(f'{_MARKS[finding.level]} {finding.about}: {finding.what}', flush=True)
    if finding.why:
        print(f'          why: {finding.why}')
    if finding.fix:
        print(f'          fix: {finding.fix}')
