"""Results are finished or absent: what is finished is skipped, and a killed run leaves nothing that looks finished."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from bag_files import read, write_bag
from fleet_work import FakeWorkers
from tiny_model import model

from depth_ros.cli import bag_process
from depth_ros.cli.main import main
from depth_ros.fleet.finished_work import RECORD_NAME, differences, make_result, recorded
from depth_ros.fleet.storage import list_files

QUALITY = ('-p', 'range_min_m:=2.0')


def process(capsys, *arguments):
    """Run bag process with --json; return the exit code, the lines and the notes."""
    code = main(['bag', 'process', *map(str, arguments), *QUALITY, '--json'])
    captured = capsys.readouterr()
    return code, [json.loads(line) for line in captured.out.splitlines()], captured.err


def contents(folder):
    """Return the bytes of the files of a result, without its record, which has the run time."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != RECORD_NAME}


def test_a_finished_recording_is_skipped_until_settings_input_or_result_change(tmp_path, capsys):
    source, target = write_bag(tmp_path / 'in'), tmp_path / 'out'
    assert process(capsys, source, target)[1][0]['state'] == 'done'
    code, (line,), _ = process(capsys, source, target)
    assert (code, line['state'], line['written'], line['attempts']) == (0, 'finished before', 5, 0)
    changes = {
        'settings.quality': lambda: ['-p', 'quality:=strict'],
        'settings.quality, settings.range_max_m': lambda: ['-p', 'range_max_m:=7.0'],  # quality is the default again
        'options.keep_inputs': lambda: ['-p', 'range_max_m:=7.0', '--keep-inputs'],
        'inputs.metadata.yaml': lambda: (os.utime(source / 'metadata.yaml'), ['-p', 'range_max_m:=7.0', '--keep-inputs'])[1],
    }  # fmt: skip
    for names, change in changes.items():
        arguments = [source, target, *change()]
        code, (line,), note = process(capsys, *arguments)
        assert (code, line['state']) == (0, 'done')
        assert note == f'note: {target} is made again, because these differ: {names}\n'
        assert process(capsys, *arguments)[1][0]['state'] == 'finished before'
    assert process(capsys, *arguments, '--force')[1][0]['state'] == 'done'
    with next(target.glob('*.db3')).open('ab') as file:
        file.write(b'0')
    assert process(capsys, *arguments)[1][0]['state'] == 'done'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['in', 'out']


def test_another_model_under_the_same_name_is_noticed(tmp_path, capsys):
    source, network = write_bag(tmp_path / 'in'), model(tmp_path / 'tiny')
    arguments = [source, tmp_path / 'out', '--model', network, '-r', 'image:=/left/image_rect']
    assert process(capsys, *arguments)[0] == 0
    assert process(capsys, *arguments)[1][0]['state'] == 'finished before'
    (file,) = (path for path in (tmp_path / 'tiny').iterdir() if path.suffix == '.onnx')
    file.with_name(f'{file.name}.data').write_bytes(b'weights')
    assert f'checksums.{file.name}.data' in process(capsys, *arguments)[2]


def test_a_folder_that_was_not_made_by_the_command_is_kept(tmp_path, capsys):
    source, target = write_bag(tmp_path / 'in'), tmp_path / 'out'
    target.mkdir()
    (target / 'mine').write_text('precious')
    for more in ([], ['--force']):
        code, _, error = process(capsys, source, target, *more)
        assert code == 1 and 'it exists and was not made by this command' in error
    assert [path.name for path in target.iterdir()] == ['mine']


def test_a_failed_recording_leaves_nothing(tmp_path, capsys):
    source = write_bag(tmp_path / 'in')
    next(source.glob('*.db3')).write_bytes(b'')
    assert process(capsys, source, tmp_path / 'out')[0] == 1
    assert [path.name for path in tmp_path.iterdir()] == ['in']


def test_the_faster_of_two_processes_that_make_the_same_result_wins(tmp_path):
    def slower(part):
        make_result(tmp_path / 'out', {'a': 1}, lambda other: (other.mkdir(), (other / 'x').write_text('first'), {})[2])
        part.mkdir(parents=True)
        (part / 'x').write_text('second')
        return {}

    make_result(tmp_path / 'out', {'a': 1}, slower)
    assert (tmp_path / 'out/x').read_text() in ('first', 'second') and recorded(str(tmp_path / 'out'))
    assert [path.name for path in tmp_path.iterdir()] == ['out']


def test_differences_are_named_with_their_place():
    before = {'a': 1, 'b': {'c': [1], 'd': 2}}
    assert differences(before, before) == []
    assert differences(before, {'b': {'c': [2], 'd': 2}, 'e': 0}) == ['a', 'b.c', 'e']


def test_the_inputs_of_a_result_are_files_with_size_and_time(tmp_path):
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'bag/a.mcap').write_bytes(b'123')
    os.utime(tmp_path / 'bag/a.mcap', ns=(5, 5))
    for location in (tmp_path / 'bag', tmp_path / 'bag/a.mcap', f'file://{tmp_path}/bag'):
        assert list_files(str(location)) == {'a.mcap': [3, 5]}
    assert list_files(str(tmp_path / 'absent')) == {}


@pytest.mark.slow
def test_after_a_kill_in_the_middle_a_second_run_does_only_the_rest(tmp_path, capsys):
    sources = [write_bag(tmp_path / name, frames=frames) for name, frames in (('a', 5), ('b', 300), ('c', 4))]
    results = tmp_path / 'results'
    command = ['-m', 'depth_ros.cli.main', 'bag', 'process', *map(str, sources), str(results), *QUALITY]
    running = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    assert 'a: 5 of 5 frames' in running.stdout.readline()
    end_s = time.monotonic() + 20
    while not any(results.glob('b.part-*/b/*.db3')) and time.monotonic() < end_s:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=10)
    assert sorted(path.name.partition('.')[0] for path in results.iterdir()) == ['a', 'b']
    assert not (results / 'b').exists() and not any(results.glob('b.part-*/**/finished.json'))
    modified_ns = (results / 'a/finished.json').stat().st_mtime_ns
    time.sleep(0.5)  # the worker notices that its main process has ended, and ends too
    code, lines, _ = process(capsys, *sources, results)
    assert code == 0 and [(line['target'].rpartition('/')[2], line['state']) for line in lines] == [
        ('a', 'finished before'), ('b', 'done'), ('c', 'done')
    ]  # fmt: skip
    assert (results / 'a/finished.json').stat().st_mtime_ns == modified_ns
    assert sorted(path.name for path in results.iterdir()) == ['a', 'b', 'c']
    assert len(read(results / 'b')['/depth/image_rect']) == 300
    assert main(['bag', 'process', str(sources[2]), str(tmp_path / 'alone/c'), *QUALITY]) == 0
    assert contents(results / 'c') == contents(tmp_path / 'alone/c')


def test_shards_of_one_command_make_all_results_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bag_process, 'LocalWorkers', FakeWorkers)
    sources = [write_bag(tmp_path / name, frames=2) for name in 'abc']
    made = []
    for index in '10':
        monkeypatch.setenv('JOB_COMPLETION_INDEX', index)
        code, lines, _ = process(capsys, *sources[:: 1 if index == '0' else -1], tmp_path / 'out', '--shard', '2')
        assert code == 0
        made += [line['target'].rpartition('/')[2] for line in lines if line['state'] == 'done']
    assert sorted(made) == ['a', 'b', 'c']
