"""Settings under which figures are comparable with published ones, and what of them shapes the depth values."""

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
    'commercial_only', 'memory_limit_mb', 'max_skew_ms', 'accept_zero_stamps', 'depth_encoding', 'cloud_', 'nav.',
    'colormap', 'filter.temporal',
)  # fmt: skip
"""Beginnings of names of parameters that do not change the depth of a single frame."""
_NEUTRAL: dict[str, Value] = {'processing_scale': 1.0, 'graph_optimization': 'all', 'precision': 'fp32'}
"""Values with which a parameter has no effect, where these are not 0, false and empty."""


def comparable(settings: SettingsT, given: Collection[str]) -> SettingsT:
    """Switch off the filters and the range limits that the user has not given.

    ``range_min_m`` stays where it is the search range of the matcher.

    Args:
        settings: Of the node, with its defaults.
        given: Names of the parameters that the user has set.
    """
    values = {
        name: type(default)()
        for name, default in defaults(type(settings)).items()
        if rules(type(settings))[name].group == 'filter'
    }
    values |= {'range_min_m': _limit(settings, 'range_min_m'), 'range_max_m': _limit(settings, 'range_max_m')}
    if _searches_by_range(settings):
        del values['range_min_m']
    return settings.changed({name: value for name, value in values.items() if name not in given})


def effective(settings: Settings) -> dict[str, Value]:
    """Return the parameters that shape the depth values, by name; ``none`` for a range limit that is off."""
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
    kept = {
        name: value
        for name, value in values.items()
        if name in _RANGE or (not name.startswith(tuple(unused)) and value and value != _NEUTRAL.get(name))
    }
    return kept | {name: 'none' for name in _RANGE if values[name] == _limit(settings, name)}


def in_words(parameters: Mapping[str, Value]) -> str:
    """Return parameters on one line, with values as in a parameter file."""
    return ', '.join(
        f'{name} {str(value).lower() if isinstance(value, bool) else value}' for name, value in parameters.items()
    )


def _limit(settings: Settings, name: str) -> float:
    """Return the value with which a range limit is off: the end of what it may be."""
    rule = rules(type(settings))[name]
    limit = rule.minimum if name == 'range_min_m' else rule.maximum
    assert limit is not None, name
    return limit


def _searches_by_range(settings: Settings) -> bool:
    return isinstance(settings, StereoSettings) and not settings.model and not settings.max_disparity
