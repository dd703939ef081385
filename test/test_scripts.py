"""`scripts/test`, with tools that only log that they ran."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOL = """#!/usr/bin/env bash
name=$(basename "$0") what=$(basename "$0")
case "$*" in
*--last-failed*) what=again ;;
*'not ros'*) what=computing ;;
*ros*) what=live ;;
esac
echo "$name $*" >>"$(dirname "$0")/../runs"
code=code_$what
exit "${!code:-0}"
"""
COMPUTING, LIVE = '-n auto --dist loadfile -m', '-o cache_dir=.pytest_cache/live -m'


def run(folder, *arguments, **exit_codes):
    """Run the real script in a copy of its folder; return the exit code, the calls of the tools and standard error."""
    (folder / 'scripts').mkdir()
    shutil.copy(ROOT / 'scripts/test', folder / 'scripts')
    (folder / 'scripts/_environment.sh').write_text(
        f'ROOT={folder} VENV={folder}; say() {{ echo "$*" >&2; }}; prepare() {{ :; }}\n'
    )
    (folder / 'bin').mkdir()
    for tool in ('ruff', 'mypy', 'pytest'):
        (folder / 'bin' / tool).write_text(TOOL)
        (folder / 'bin' / tool).chmod(0o755)
    (folder / 'test').mkdir()
    (folder / 'test/test_live.py').write_text('pytestmark = pytest.mark.ros\n')
    (folder / 'test/test_other.py').touch()
    environment = {**os.environ, **{f'code_{name}': str(code) for name, code in exit_codes.items()}}
    done = subprocess.run(
        [folder / 'scripts/test', *arguments], env=environment, capture_output=True, text=True, timeout=60
    )
    return done.returncode, (folder / 'runs').read_text().splitlines(), done.stderr


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        ((), {f'{COMPUTING} not ros', f'{LIVE} ros -n 4 test/test_live.py'}),
        (
            ('-m', 'not slow'),
            {f'{COMPUTING} (not slow) and not ros', f'{LIVE} (not slow) and ros -n 4 test/test_live.py'},
        ),
        (
            ('-m', 'slow or ros'),
            {f'{COMPUTING} (slow or ros) and not ros', f'{LIVE} (slow or ros) and ros -n 4 test/test_live.py'},
        ),
        (('-m', 'ros and not slow'), {f'{LIVE} (ros and not slow) and ros -n 4 test/test_live.py'}),
        (('-m', 'not ros'), {f'{COMPUTING} (not ros) and not ros'}),
        (('-k', 'pairing'), {'-k pairing'}),
    ],
)
def test_the_expression_decides_which_tests_run_and_only_a_full_run_checks_style_and_types(
    tmp_path, arguments, expected
):
    code, calls, _ = run(tmp_path, *arguments)
    linters = [] if arguments else ['ruff check .', 'ruff format --check .', 'mypy ']
    assert code == 0 and calls[: len(linters)] == linters
    assert {call.partition('pytest ')[2] for call in calls[len(linters) :]} == expected


@pytest.mark.parametrize(
    ('codes', 'code', 'again'),
    [
        ({'ruff': 1}, 1, False),
        ({'mypy': 1}, 1, False),
        ({'computing': 1}, 1, False),
        ({'computing': 5, 'live': 5}, 0, False),  # no test matches
        ({'live': 1}, 0, True),
        ({'live': 1, 'again': 1}, 1, True),
        ({'live': 2}, 1, False),
    ],
    ids=str,
)
def test_everything_runs_and_any_failure_counts_but_live_tests_have_a_second_try(tmp_path, codes, code, again):
    ended, calls, errors = run(tmp_path, **codes)
    assert ended == code and len(calls) == 5 + again and ('Failed: ' in errors) == code
    assert (f'pytest {LIVE} ros --last-failed --last-failed-no-failures none test/test_live.py' in calls) == again
