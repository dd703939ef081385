"""Options of commands that configure a node: node, parameters, namespace and remappings."""

import argparse
from typing import Any

import yaml

from depth_ros.cli.argument_types import assignment, existing_file, remapping, ros_namespace
from depth_ros.errors import BadFile
from depth_ros.networks.catalog import find_manifest
from depth_ros.settings.common_settings import Settings, SettingsT
from depth_ros.settings.node_settings import MonoSettings, MultiviewSettings, NodeSettings, StereoSettings
from depth_ros.settings.parameter_table import defaults

_UNRELATED = ('use_sim_time', 'cameras', 'autostart', 'qos_overrides.')
"""Prefixes of node parameters that do not affect the depth."""


def add_node_options(parser: argparse.ArgumentParser, multiview: bool = False) -> None:
    """Declare ``--node``, ``--model``, ``--params``, ``-p``, ``--namespace`` and ``-r``.

    Args:
        parser: Parser of a command.
        multiview: Whether the command supports ``multiview_depth``.
    """
    parser.add_argument(
        '--node',
        choices=('stereo_depth', 'mono_depth', *(['multiview_depth'] if multiview else [])),
        help='node whose parameters are used (chosen by the task of the model; stereo_depth without a model)',
    )
    parser.add_argument(
        '--model', metavar='ID|FILE', help='same as -p model:=ID; without a model, stereo_depth uses stereo matching'
    )
    add_parameter_options(parser)
    add_topic_options(parser)


def add_parameter_options(parser: argparse.ArgumentParser) -> None:
    """Declare ``--params`` and ``-p``."""
    parser.add_argument(
        '--params', type=existing_file, metavar='FILE', help='parameter file of the node, in the format of ros2 run'
    )
    parser.add_argument(
        '-p',
        action='append',
        default=[],
        type=assignment,
        metavar='NAME:=VALUE',
        dest='parameters',
        help='set a parameter; overrides FILE',
    )


def add_topic_options(parser: argparse.ArgumentParser) -> None:
    """Declare ``--namespace``, stored as '' or with a leading slash, and ``-r``, stored as pairs of names."""
    parser.add_argument('--namespace', type=ros_namespace, default='', metavar='/NS', help='namespace of the node')
    parser.add_argument(
        '-r', action='append', type=remapping, default=[], metavar='FROM:=TO', dest='remaps',
        help='use the topic TO instead of FROM, as with ros2 run',
    )  # fmt: skip


def node_settings(options: argparse.Namespace) -> NodeSettings:
    """Return the settings that result from the options; set ``options.node`` if it is None.

    Raises:
        BadFile: the file cannot be read.
        ModelError: the model is unknown.
        BadSettings: a parameter is unknown or invalid.
    """
    if options.node is None:
        model = _parameters(options, 'stereo_depth').get('model')
        options.node = 'mono_depth' if model and find_manifest(str(model))[0].task == 'mono' else 'stereo_depth'
    if options.node == 'mono_depth':
        return settings_of(options, MonoSettings)
    if options.node == 'multiview_depth':
        return settings_of(options, MultiviewSettings)
    return settings_of(options, StereoSettings)


def settings_of(options: argparse.Namespace, kind: type[SettingsT]) -> SettingsT:
    """Return the settings of one node that result from the options.

    Raises:
        BadFile, BadSettings: as ``node_settings``.
    """
    given, known = _parameters(options, _node_of(kind)), defaults(kind)
    return kind().changed({name: v for name, v in given.items() if name in known or not name.startswith(_UNRELATED)})


def _node_of(kind: type[Settings]) -> str:
    if issubclass(kind, MultiviewSettings):
        return 'multiview_depth'
    return 'mono_depth' if issubclass(kind, MonoSettings) else 'stereo_depth'


def ros_parameters(options: argparse.Namespace) -> dict[str, Any]:
    """Return all parameters in the options by name, unchecked; ``options.node`` must be set."""
    return _parameters(options, options.node)


def _parameters(options: argparse.Namespace, node: str) -> dict[str, Any]:
    """Return the parameters of the file and the options by name, nested names joined with dots."""
    parameters: dict[str, Any] = {}
    if options.params:
        try:
            content = yaml.safe_load(options.params.read_text(encoding='utf-8')) or {}
            if not any('ros__parameters' in section for section in content.values() if isinstance(section, dict)):
                raise BadFile(
                    f"{options.params} has no 'ros__parameters'; expected parameters below '/**: ros__parameters:' or "
                    f"'{node}: ros__parameters:', as in config/{node.removesuffix('_depth')}.yaml"
                )
            for key in ('/**', node, f'/{node}'):
                if key in content:
                    parameters |= _flat(content[key]['ros__parameters'])
        except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
            raise BadFile(
                f'{options.params} cannot be read as parameters: {type(error).__name__}: {" ".join(str(error).split())}'
            ) from error
    for text in options.parameters:
        name, _, value = text.partition(':=')
        parameters[name] = yaml.safe_load(value)
    if getattr(options, 'model', None):
        parameters['model'] = options.model
    return parameters


def _flat(section: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for name, value in section.items():
        parameters |= _flat(value, f'{prefix}{name}.') if isinstance(value, dict) else {f'{prefix}{name}': value}
    return parameters
