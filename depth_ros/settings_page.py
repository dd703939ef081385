"""The table of settings as a page: ``python -m depth_ros.settings_page > docs/parameters.md``."""

from depth_ros.settings import DEFAULTS, RULES, Rule

_HEADER = """# Parameters of `stereo_depth`

Made from `depth_ros/settings.py` by `python -m depth_ros.settings_page > docs/parameters.md`. `config/stereo.yaml` has
them all at their defaults. "fixed" ones take effect when the node is configured; all others can be changed while it
runs (`ros2 param set`) and take effect with the next frame. A wrong value is refused with the reason. QoS of every
topic can be set with `qos_overrides.<topic>.<publisher|subscription>.<history|depth|reliability>`.

| parameter | default | allowed | meaning |
|---|---|---|---|
"""


def page() -> str:
    """Return the page."""
    rows = []
    for name, rule in RULES.items():
        fixed = ' (fixed)' if rule.read_only else ''
        default = str(DEFAULTS[name]).lower() if isinstance(DEFAULTS[name], bool) else str(DEFAULTS[name])
        rows.append(f'| `{name}`{fixed} | `{default}` | {_allowed(name, rule)} | {rule.description} |')
    return _HEADER + '\n'.join(rows) + '\n'


def _allowed(name: str, rule: Rule) -> str:
    if rule.choices:
        return ', '.join(f'`{choice}`' for choice in rule.choices)
    if isinstance(DEFAULTS[name], bool):
        return '`true`, `false`'
    return f'{rule.minimum:g} to {rule.maximum:g} {rule.unit}'.rstrip()


if __name__ == '__main__':
    print(page(), end='')
