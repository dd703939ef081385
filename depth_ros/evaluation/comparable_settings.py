"""Settings for figures that are comparable with published ones, and the parameters that affect the depth values."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import TypeVar

from depth_ros.settings.common_settings import Settings
from depth_ros.settings.node_settings import StereoSettings
from depth_ros.settings.parameter_table import Value, defaults, rules

SettingsT = TypeVar('SettingsT', bound=Settings)
_RANGE = ('range_min_m', 'range_max_m')
_WITHOUT_EFFECT = (
    'autostart', 'image_transport', 'max_age_s', 'max_rate_hz', 'estimate_timeout_s', 'on_device_lost',
    'commercial_only', 'device_id', 'remote_', 'memory_limit_mb', 'max_skew_ms', 'accept_zero_stamps',
    'depth_encoding', 'cloud_', 'nav.', 'colormap', 'filter.temporal', 'relative_scaling',
)  # fmt: skip
"""Name prefixes of parameters that do not affect the depth of a single frame."""
_NEUTRAL: dict[str, Value] = {'processing_scale': 1.0, 'graph_optimization': 'all', 'precision': 'fp32'}
"""Values at which a parameter has no effect, if this is not 0, false or empty."""


def comparable_settings(settings: SettingsT, given: Collection[str]) -> SettingsT:
    """Return the settings with the filters and range limits disabled that the user has not set.

    ``range_min_m`` is unchanged if it determines the search range of the matcher.

    Args:
        settings: Settings of the node, including its defaults.
        given: Names of the parameters that the user has set.
    """
    values = {
        name: type(default)()
        for name, default in defaults(type(settings)).items()
        if rules(type(settings))[name].group == 'filter'
    }
    values |= {name: _disabled_limit(settings, name) for name in _RANGE}
    if _range_sets_disparity_search(settings):
        del values['range_min_m']
    return settings.changed({name: value for name, value in values.items() if name not in given})


def effective_parameters(settings: Settings) -> dict[str, Value]:
    """Return the parameters that affect the depth values, by name; ``none`` for a disabled range limit."""
    values = dict(zip(defaults(type(settings)), asdict(settings).values(), strict=True))
    unused = [*_WITHOUT_EFFECT]
    if isinstance(settings, StereoSettings) and settings.model:
        unused += ['quality', 'max_disparity']
    elif isinstance(settings, StereoSettings):
        unused += ['device', 'allow_fallback', 'threads']
    source = values.get('scale.source', 'none')
    if source != 'fixed':
        unused.append('scale.fixed_')
    if source == 'none':
        unused.append('scale.')
    if source != 'ground':
        unused.append('camera_')
    effective = {
        name: value
        for name, value in values.items()
        if name in _RANGE or (not name.startswith(tuple(unused)) and value and value != _NEUTRAL.get(name))
    }
    return effective | {name: 'none' for name in _RANGE if values[name] == _disabled_limit(settings, name)}


def format_parameters(parameters: Mapping[str, Value]) -> str:
    """Return the parameters on one line, with values formatted as in a parameter file."""
    return ', '.join(
        f'{name} {str(value).lower() if isinstance(value, bool) else value}' for name, value in parameters.items()
    )


def _disabled_limit(settings: Settings, name: str) -> float:
    """Return the value that disables a range limit: the end of its allowed range."""
    rule = rules(type(settings))[name]
    limit = rule.minimum if name == 'range_min_m' else rule.maximum
    assert limit is not None, name
    return limit


def _range_sets_disparity_search(settings: Settings) -> bool:
    """Return whether the matcher derives its disparity search range from ``range_min_m``."""
    return isinstance(settings, StereoSettings) and not settings.model and not settings.max_disparity
