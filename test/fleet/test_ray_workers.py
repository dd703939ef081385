"""Recordings on a Ray cluster, which is started on loopback: the results of a local run, also after kills."""

import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bag_files import write_bag
from fleet_work import SmallWork, tasks_of

from depth_ros.cli.main import main
from depth_ros.errors import BadSettings, ModelLoadError
from depth_ros.fleet.finished_work import RECORD_NAME
from depth_ros.fleet.ray_workers import RayWorkers
from depth_ros.fleet.workers import run_tasks

TEST = Path(__file__).parents[1]
needs_ray = pytest.mark.skipif(importlib.util.find_spec('ray') is None, reason='needs pip install ray: no ray')
CLUSTER = """
import ray, sys
ray.init(address='local', num_cpus=2, include_dashboard=False, _node_ip_address='127.0.0.1', log_to_driver=False)
print('address', ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""
pytestmark = pytest.mark.filterwarnings('ignore')  # warnings of Ray and its libraries
OPTIONS = ('-p', 'range_min_m:=2.0', '--json')


@pytest.fixture(scope='module')
def environment():
    """Return the environment of processes that use a cluster with two processors; it is started once."""
    variables = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join([str(TEST.parent), str(TEST), os.environ.get('PYTHONPATH', '')]),
        'RAY_USAGE_STATS_ENABLED': '0',
        'RAY_AUTH_MODE': 'token',
        'RAY_AUTH_TOKEN': secrets.token_hex(32),
    }
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'stderr': subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, '-c', CLUSTER], env=variables, text=True, **pipes) as cluster:
        line = next(each for each in cluster.stdout if each.startswith('address '))
        yield {**variables, 'RAY_ADDRESS': line.split()[1]}
        cluster.stdin.close()


def contents(folder):
    """Return the bytes of all results by file, without their records, which have the run times."""
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob('*')
        if each.name != RECORD_NAME and each.is_file()
    }


def command(sources, target, *more):
    return [
        sys.executable,
        '-m',
        'depth_ros.cli.main',
        'bag',
        'process',
        *map(str, sources),
        str(target),
        *OPTIONS,
        *more,
    ]


@needs_ray
@pytest.mark.slow
def test_results_are_those_of_a_local_run_and_damaged_recordings_are_isolated(tmp_path, capsys, environment):
    sources = [write_bag(tmp_path / name, frames=frames) for name, frames in (('a', 4), ('b', 5))]
    (tmp_path / 'damaged').mkdir()
    (tmp_path / 'damaged/x.db3').write_bytes(b'x')
    run = subprocess.run(
        command([tmp_path / 'damaged', *sources], tmp_path / 'ray', '--on', 'ray'),
        env=environment,
        capture_output=True,
        text=True,
    )
    lines = {Path(line['target']).name: line for line in map(json.loads, run.stdout.splitlines())}
    assert run.returncode == 1 and {name: line['state'] for name, line in lines.items()} == {
        'a': 'done', 'b': 'done', 'damaged': 'failed'
    }, run.stderr  # fmt: skip
    assert 'cannot be read as a bag' in lines['damaged']['error'] and lines['damaged']['attempts'] == 1
    for source in sources:
        assert main(['bag', 'process', str(source), str(tmp_path / 'local' / source.name), *OPTIONS]) == 0
    assert contents(tmp_path / 'ray') == contents(tmp_path / 'local')


@needs_ray
@pytest.mark.slow
def test_a_killed_worker_and_a_killed_driver_lose_nothing_and_do_nothing_twice(tmp_path, capsys, environment):
    sources = [write_bag(tmp_path / name, frames=frames) for name, frames in (('a', 300), ('b', 600), ('c', 5))]
    results = tmp_path / 'ray'
    driver = subprocess.Popen(
        command(sources, results, '--on', 'ray', '--jobs', '1'),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    os.kill(worker_of(results, 'a'), signal.SIGKILL)
    line = driver.stdout.readline()
    assert line[:1] == '{', line
    first = json.loads(line)
    assert (first['target'], first['state'], first['attempts']) == (str(results / 'a'), 'done', 2)
    worker_of(results, 'b')
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    assert sorted(each.name for each in results.iterdir() if '.part-' not in each.name) == ['a']
    again = subprocess.run(command(sources, results, '--on', 'ray'), env=environment, capture_output=True, text=True)
    lines = {Path(line['target']).name: line for line in map(json.loads, again.stdout.splitlines())}
    assert {name: line['state'] for name, line in lines.items()} == {'a': 'finished before', 'b': 'done', 'c': 'done'}
    assert {name: line['written'] for name, line in lines.items()} == {'a': 300, 'b': 600, 'c': 5}
    assert sorted(each.name for each in results.iterdir()) == ['a', 'b', 'c']


def worker_of(results, name):
    """Return the process that is writing the result of a recording, as soon as there is one."""
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s:
        for each in results.glob(f'{name}.part-*/{name}/*.db3'):
            return int(each.parents[1].name.rpartition('-')[2])
        time.sleep(0.01)
    raise AssertionError(f'nobody has begun {name}')


@needs_ray
@pytest.mark.slow
def test_tasks_end_on_ray_as_they_end_on_local_workers(tmp_path, environment, monkeypatch):
    for name in ('RAY_ADDRESS', 'RAY_USAGE_STATS_ENABLED', 'RAY_AUTH_MODE', 'RAY_AUTH_TOKEN'):
        monkeypatch.setenv(name, environment[name])
    workers = RayWorkers(SmallWork(), 'ray', cpus=1, gpus=0)
    assert workers.capacity == 2
    tasks = tasks_of(tmp_path, 'dies_once', 'ok', 'dies', 'fails')
    outcomes = {each.task.name: each for each in run_tasks(workers, 2, tasks)}
    assert outcomes['00'].figures == {'starts': 2} and outcomes['01'].figures == {'starts': 1}
    assert outcomes['02'].error.startswith('the worker died (') and outcomes['02'].attempts == 3
    assert outcomes['03'].error == 'the bag is damaged' and outcomes['03'].attempts == 1
    with pytest.raises(ModelLoadError, match='no such model'):
        list(run_tasks(RayWorkers(SmallWork(unusable=True), 'ray', 1, 0), 2, tasks))
    with pytest.raises(BadSettings, match='the cluster has 2 processors and 0 GPUs; expected .* --gpus-per-worker 1'):
        RayWorkers(SmallWork(), 'ray', 1, 1)


def test_without_ray_the_error_names_the_command_that_installs_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    arguments = ['bag', 'process', str(tmp_path / 'a'), str(tmp_path / 'b'), str(tmp_path / 'out'), '--on', 'ray']
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert '--on ray needs Ray' in error and 'pip install' in error and error.count('\n') == 1


@pytest.mark.parametrize('address', ['slurm', 'ray://', 'ray://host', 'ray://host:port', 'http://host:1'])
def test_another_cluster_is_a_usage_error(address, capsys):
    with pytest.raises(SystemExit, match='2'):
        main(['eval', 'a', 'b', '--on', address])
    assert f"'{address}' is not a cluster; expected ray or ray://HOST:PORT" in capsys.readouterr().err
