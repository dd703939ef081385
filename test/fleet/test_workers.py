"""Tasks are distributed over workers; killed workers are replaced, and failures are isolated."""

import pytest
from fleet_work import FakeWorkers, SmallWork, tasks_of

from depth_ros.errors import EstimatorError, ModelLoadError
from depth_ros.fleet.local_workers import LocalWorkers
from depth_ros.fleet.workers import run_tasks


@pytest.mark.parametrize('first', [lambda busy: 0, lambda busy: len(busy) - 1])
def test_every_task_has_one_outcome_in_whatever_order_the_workers_end(tmp_path, first):
    tasks = tasks_of(tmp_path, 'ok', 'fails', 'dies', 'raises', 'ok', 'ok')
    workers = FakeWorkers(SmallWork(), first)
    outcomes = {each.task.name: each for each in run_tasks(workers, 2, tasks)}
    assert sorted(outcomes) == [task.name for task in tasks] and workers.stopped
    assert [outcomes[name].figures for name in ('00', '04', '05')] == [{'starts': 1}] * 3
    assert outcomes['01'].error == 'the bag is damaged' and outcomes['01'].attempts == 1
    assert outcomes['02'].error == 'the worker died, 3 times' and outcomes['02'].attempts == 3
    assert outcomes['03'].error == 'ZeroDivisionError: damaged data'
    assert workers.started in (2 + 2, 2 + 3)  # a worker that has died is replaced if anything is left to do


def test_not_more_workers_are_started_than_there_are_tasks(tmp_path):
    workers = FakeWorkers(SmallWork())
    assert len([*run_tasks(workers, 8, tasks_of(tmp_path, 'ok', 'ok'))]) == 2 and workers.started == 2


def test_workers_that_all_die_at_once_end_the_run(tmp_path):
    workers = FakeWorkers(SmallWork())
    with pytest.raises(EstimatorError, match='9 workers died and none has done anything: the worker died'):
        list(run_tasks(workers, 2, tasks_of(tmp_path, *['dies'] * 100)))
    assert workers.started < 12 and workers.stopped


@pytest.mark.slow
def test_a_killed_process_is_replaced_and_its_recording_is_started_again_at_most_three_times(tmp_path):
    tasks = tasks_of(tmp_path, 'dies_once', 'dies', 'ok', 'fails')
    outcomes = {each.task.name: each for each in run_tasks(LocalWorkers(SmallWork()), 2, tasks)}
    assert outcomes['00'].figures == {'starts': 2} and outcomes['00'].attempts == 2
    assert outcomes['01'].error.startswith('the worker was killed by SIGKILL') and outcomes['01'].attempts == 3
    assert outcomes['02'].figures == {'starts': 1} and outcomes['03'].error == 'the bag is damaged'
    assert [len((tmp_path / name).read_text().splitlines()) for name in ('00', '01', '02', '03')] == [2, 3, 1, 1]


@pytest.mark.slow
def test_a_pipeline_that_cannot_be_loaded_ends_the_run_instead_of_failing_every_recording(tmp_path):
    with pytest.raises(ModelLoadError, match='no such model'):
        list(run_tasks(LocalWorkers(SmallWork(unusable=True)), 2, tasks_of(tmp_path, 'ok', 'ok', 'ok')))
    assert not list(tmp_path.iterdir())
