"""Shards of a list of recordings, and the example scripts that use them."""

import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from depth_ros.errors import BadSettings
from depth_ros.fleet.shards import INDEX_VARIABLES, parse_shard, shard

EXAMPLES = Path(__file__).parents[2] / 'examples/fleet'


@given(st.sets(st.text(max_size=5)), st.integers(1, 12), st.randoms())
def test_shards_are_disjoint_and_complete_whatever_the_order_of_the_listing(names, count, order):
    shards = []
    for index in range(count):
        listing = sorted(names)
        order.shuffle(listing)
        shards.append(shard(listing, index, count))
    assert sorted(name for each in shards for name in each) == sorted(names)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize('variable', INDEX_VARIABLES)
def test_the_index_comes_from_the_environment_unless_it_is_given(variable):
    assert parse_shard('10', {variable: '7'}) == (7, 10)
    assert parse_shard('2/10', {variable: '7'}) == (2, 10)


@pytest.mark.parametrize(
    ('text', 'environment', 'message'),
    [
        ('10/10', {}, r"'10/10'; expected I/N .* I from 0 to N - 1"),
        ('a/3', {}, 'expected I/N'),
        ('/3', {}, 'expected I/N'),
        ('-1/3', {}, 'expected I/N'),
        ('3', {}, 'the environment has no index; expected I/N, such as 0/10, or one of JOB_COMPLETION_INDEX'),
        ('3', {'SLURM_ARRAY_TASK_ID': '3'}, "'3' and SLURM_ARRAY_TASK_ID is 3; expected I/N"),
    ],
)
def test_an_invalid_shard_is_an_error_that_says_what_is_expected(text, environment, message):
    with pytest.raises(BadSettings, match=message):
        parse_shard(text, environment)


def test_the_example_of_a_kubernetes_job_is_an_indexed_job_with_a_shard_for_every_index():
    job = yaml.safe_load((EXAMPLES / 'kubernetes_job.yaml').read_text())
    spec = job['spec']
    assert (job['apiVersion'], job['kind'], spec['completionMode']) == ('batch/v1', 'Job', 'Indexed')
    (container,) = spec['template']['spec']['containers']
    arguments = container['args']
    assert arguments[arguments.index('--shard') + 1] == str(spec['completions'])
    mounted = {each['name'] for each in container['volumeMounts']}
    assert mounted == {each['name'] for each in spec['template']['spec']['volumes']}


def test_the_example_of_a_slurm_array_is_valid_bash_with_a_shard_for_every_task():
    script = EXAMPLES / 'slurm_array.sh'
    subprocess.run(['bash', '-n', script], check=True)
    lines = script.read_text().splitlines()
    (array,) = (line for line in lines if line.startswith('#SBATCH --array='))
    assert array == '#SBATCH --array=0-99' and any('--shard 100' in line for line in lines)
