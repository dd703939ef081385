"""Reference page of all parameters: ``python -m depth_ros.settings.parameters_page > docs/parameters.md``."""

from depth_ros.settings.common_settings import Settings
from depth_ros.settings.node_settings import MonoSettings, MultiviewSettings, StereoSettings
from depth_ros.settings.parameter_table import Rule, Value, defaults, rules

_HEADER = """# Parameters

Generated from the tables in `depth_ros/settings`: `python -m depth_ros.settings.parameters_page > docs/parameters.md`.
`config/stereo.yaml`, `config/mono.yaml` and `config/multiview.yaml` list all parameters with their defaults. Read-only
parameters can only be set when the node starts. All other parameters can be changed while the node runs
(`ros2 param set`); a change takes effect with the next image, a new model or device as soon as it has been loaded and
checked. An invalid value is rejected with the reason.

The QoS of every topic can be set with
`qos_overrides.<topic>.<publisher|subscription>.<history|depth|reliability>`.
"""


def page() -> str:
    """Return the page as Markdown."""
    common = set(rules(Settings))
    return (
        _HEADER
        + _section('All depth nodes', Settings, common)
        + _section('`stereo_depth` only', StereoSettings, set(rules(StereoSettings)) - common)
        + _section('`mono_depth` only', MonoSettings, set(rules(MonoSettings)) - (common - {'model', 'filter.edges'}))
        + _section('`multiview_depth` only', MultiviewSettings, set(rules(MultiviewSettings)) - (common - {'model'}))
    )


def _section(title: str, kind: type[Settings], names: set[str]) -> str:
    rows = []
    for name, rule in rules(kind).items():
        if name in names:
            default, read_only = defaults(kind)[name], ' (read-only)' if rule.read_only else ''
            rows.append(
                f'| `{name}`{read_only} | `{_yaml(default)}` | {_allowed(default, rule)} | {rule.description} |'
            )
    return (
        f'\n## {title}\n\n| parameter | default | allowed values | description |\n|---|---|---|---|\n'
        + '\n'.join(rows)
        + '\n'
    )


def _yaml(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if value != '' else "''"


def _allowed(default: Value, rule: Rule) -> str:
    if rule.choices:
        return ', '.join(f'`{choice}`' for choice in rule.choices)
    if isinstance(default, bool):
        return '`true`, `false`'
    if isinstance(default, str):
        return 'text'
    return rule.allowed_range


if __name__ == '__main__':
    print(page(), end='')
