"""Recordings and results in an object store: S3, which moto's server provides on loopback, and fsspec's memory."""

import importlib.util
import json
import time

import numpy as np
import pytest
from bag_files import SIZE, BagWriter, depth_message, image, info, read, write_bag
from fleet_work import FakeWorkers
from scenes import calibrations, pair

from depth_ros.cli import bag_process
from depth_ros.cli.main import main
from depth_ros.errors import BadFile
from depth_ros.fleet import local_workers
from depth_ros.fleet.finished_work import RECORD_NAME, recorded, store_result
from depth_ros.fleet.storage import SIZE_VARIABLE, expanded, list_files, local_copy

MISSING = [name for name in ('s3fs', 'moto', 'flask', 'flask_cors') if importlib.util.find_spec(name) is None]
needs_s3 = pytest.mark.skipif(bool(MISSING), reason=f'needs pip install s3fs "moto[server]": no {", ".join(MISSING)}')
pytestmark = pytest.mark.filterwarnings('ignore')  # warnings of the libraries of the store


@pytest.fixture(scope='module')
def server():
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)
    server.start()
    yield 'http://{}:{}'.format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(params=['memory', pytest.param('s3', marks=[needs_s3, pytest.mark.slow])])
def store(request, tmp_path, monkeypatch):
    """Return the file system of a store with an empty bucket ``fleet``, and the address of that bucket."""
    fsspec = pytest.importorskip('fsspec')
    monkeypatch.setenv('DEPTH_ROS_CACHE', str(tmp_path / 'cache'))
    if request.param == 's3':
        monkeypatch.setenv('AWS_ENDPOINT_URL', request.getfixturevalue('server'))
        for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_DEFAULT_REGION'):
            monkeypatch.setenv(name, 'us-east-1')
    system = fsspec.filesystem(request.param, skip_instance_cache=True, use_listings_cache=False)
    if system.exists('fleet'):
        system.rm('fleet', recursive=True)
    system.mkdir('fleet')
    return system, f'{request.param}://fleet'


def process(capsys, *arguments):
    code = main(['bag', 'process', *map(str, arguments), '-p', 'range_min_m:=2.0', '--json'])
    captured = capsys.readouterr()
    return code, [json.loads(line) for line in captured.out.splitlines()], captured.err


@pytest.mark.slow
def test_recordings_and_results_are_in_a_store_and_are_resumed(tmp_path, capsys, store, monkeypatch):
    store, address = store
    monkeypatch.setattr(bag_process, 'LocalWorkers', FakeWorkers)
    for name in 'ab':
        store.put(str(write_bag(tmp_path / name)), f'fleet/in/{name}', recursive=True)
    arguments = [f'{address}/in/*', f'{address}/out']
    code, lines, _ = process(capsys, *arguments)
    assert code == 0 and [line['target'] for line in lines] == [f'{address}/out/a', f'{address}/out/b']
    names = [each.rpartition('/')[2] for each in store.find('fleet/out/a')]
    assert names == ['a.db3', 'finished.json', 'metadata.yaml']
    store.get('fleet/out/a', str(tmp_path / 'result'), recursive=True)
    assert len(read(tmp_path / 'result')['/depth/image_rect']) == 5
    assert process(capsys, tmp_path / 'a', f'file://{tmp_path}/local/a')[0] == 0
    assert (tmp_path / 'local/a/a.db3').read_bytes() == (tmp_path / 'result/a.db3').read_bytes()
    time.sleep(1)  # the store's times are whole seconds
    store.rm('fleet/in/b', recursive=True)
    store.put(str(write_bag(tmp_path / 'other' / 'b', frames=3)), 'fleet/in/b', recursive=True)
    store.rm('fleet/out/a/a.db3')
    _, lines, note = process(capsys, *arguments)
    assert [(line['state'], line['written']) for line in lines] == [('done', 5), ('done', 3)]
    assert 'out/b is made again, because these differ: inputs.b.db3' in note and 'out/a' not in note
    assert [line['state'] for line in process(capsys, *arguments)[1]] == ['finished before'] * 2
    assert [line['state'] for line in process(capsys, *arguments, '--split', '200s')[1]] == ['done'] * 2
    assert not store.exists('fleet/out/a.segments')


def test_a_result_without_its_record_is_not_finished_and_another_folder_is_kept(store):
    store, address = store

    def make(part):
        assert not store.exists(f'fleet/out/{RECORD_NAME}')
        part.mkdir()
        (part / 'x').write_text('x')
        return {}

    assert store_result(f'{address}/out', {'a': 1}, make) == {} and recorded(f'{address}/out')['made_from'] == {'a': 1}
    store.rm(f'fleet/out/{RECORD_NAME}')
    assert recorded(f'{address}/out') is None
    with pytest.raises(BadFile, match='/fleet/out cannot be written: it exists and was not made by this command'):
        store_result(f'{address}/out', {'a': 1}, make)


def test_a_recording_is_copied_once_and_the_cache_is_limited(tmp_path, store, monkeypatch):
    store, address = store
    monkeypatch.setenv(SIZE_VARIABLE, '3e-6')  # 3000 bytes
    for name in 'abc':
        store.pipe(f'fleet/{name}/data.mcap', name.encode() * 1000)
    for name in 'aab':
        with local_copy(f'{address}/{name}') as path:
            assert (path / 'data.mcap').read_bytes() == name.encode() * 1000 and path.name == name
        time.sleep(0.02)
    cached = lambda: sorted(each.parent.name for each in (tmp_path / 'cache').rglob('data.mcap'))  # noqa: E731
    inode = next((tmp_path / 'cache').rglob('a/data.mcap')).stat().st_ino
    with local_copy(f'{address}/a/data.mcap') as single, local_copy(f'{address}/a') as folder:
        assert single.read_bytes() == (folder / 'data.mcap').read_bytes()
        assert (folder / 'data.mcap').stat().st_ino == inode  # not copied again
        with local_copy(f'{address}/c'):
            assert folder.exists() and single.exists()  # in use, although the cache is full
    assert 'b' not in cached() and 'c' in cached()


def test_what_does_not_exist_is_one_clear_error(tmp_path, capsys, store):
    _, address = store
    code, _, error = process(capsys, f'{address}/nothing', tmp_path / 'out')
    assert (
        code == 1
        and error == f'depth-ros: {address}/nothing does not exist; expected the address of a recording or dataset\n'
    )
    with pytest.raises(BadFile, match=r'://fleet/\*\.mcap matches nothing'):
        expanded([f'{address}/*.mcap'])


@needs_s3
@pytest.mark.slow
@pytest.mark.parametrize('store', ['s3'], indirect=True)
def test_a_store_that_refuses_is_one_clear_error(store):
    with pytest.raises(
        BadFile, match='s3://no-such-bucket/x cannot be accessed: The specified bucket does not exist. Check'
    ):
        store_result('s3://no-such-bucket/x', {}, lambda part: part.mkdir() or {})


@needs_s3
@pytest.mark.slow
@pytest.mark.parametrize('store', ['s3'], indirect=True)
def test_evaluations_are_merged_in_the_store(tmp_path, capsys, store, monkeypatch):
    store, address = store
    monkeypatch.setattr(local_workers, 'LocalWorkers', FakeWorkers)
    for name in 'ab':
        with BagWriter(tmp_path / name) as bag:
            images, infos = pair(np.full(SIZE, 8.0, np.float32)), calibrations(SIZE[1], SIZE[0])
            for side, pixels, calibration in zip(('left', 'right'), images, infos, strict=True):
                bag.add(f'/{side}/camera_info', info(calibration, 10**9), 10**9)
                bag.add(f'/{side}/image_rect', image(pixels, 10**9), 10**9)
            bag.add('/truth/depth', depth_message(np.full(SIZE, 30 / 8, np.float32), 10**9), 10**9)
        store.put(str(tmp_path / name), f'fleet/in/{name}', recursive=True)
    assert main(['eval', f'{address}/in/*', '--out', f'{address}/reports', '-p', 'range_min_m:=2.0']) == 0
    report = json.loads(store.cat('fleet/reports/report.json'))
    assert [row['name'] for row in report['frames']] == ['a', 'b'] and report['figures']['abs_rel'] < 0.01
    assert json.loads(store.cat('fleet/reports/a/report.json'))['dataset'].endswith('fleet/in/a')


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'fsspec', None)
    with pytest.raises(BadFile, match=r's3://a/b needs the library of its store .*: .*pip install'):
        list_files('s3://a/b')
