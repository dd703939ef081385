"""`depth-ros bag check`: figures computed by hand, limits, and the example test for a robot."""

import json
import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from bag_files import BagWriter, depth_message, image, info, simulated_drive
from scenes import calibrations, pair

from depth_ros.cli.main import main
from depth_ros.errors import BadFile
from depth_ros.evaluation.recording_check import Reference, check_limits, measure, read_limits

ROOT = Path(__file__).parents[2]
SHAPE = (32, 64)


def depth_bag(path, frames=11, factor=1.0, drop=(), encoding='32FC1', truth=True, damaged_frame=None):
    """Write images, depth 40 ms later, and truth, of a wall at 2 m: depth alternates by 1 %, a quarter is unknown."""
    with BagWriter(path) as bag:
        for i in range(frames):
            stamp = 10**9 + i * 10**8
            depth = np.full(SHAPE, 2.0 * (1 + 0.01 * (i % 2)) * factor, np.float32)
            depth[:, : SHAPE[1] // 4] = np.nan
            if encoding == '16UC1':
                depth = np.nan_to_num(depth * 1000).astype(np.uint16)
            bag.add('/image', image(np.zeros(SHAPE, np.uint8), stamp), stamp + 10**7)
            if truth:
                bag.add('/truth', depth_message(np.full(SHAPE, 2.0, np.float32), stamp + 10**6), stamp + 2 * 10**7)
            if i not in drop:
                message = depth_message(depth, stamp, encoding)
                if damaged_frame is not None and i == damaged_frame:
                    message.data = message.data[:10]
                bag.add('/depth/image_rect', message, stamp + 4 * 10**7)
    return path


@pytest.mark.parametrize('encoding', ['32FC1', '16UC1'])
def test_figures_agree_with_values_computed_by_hand(tmp_path, encoding):
    figures = measure(depth_bag(tmp_path / 'bag', drop=(5,), encoding=encoding), reference=Reference('/truth'))
    assert figures['frames'] == 10 and figures['drop_share'] == pytest.approx(1 / 11) and figures['damaged'] == 0
    assert figures['rate_hz'] == pytest.approx(9 / 1.0) and figures['longest_gap_s'] == pytest.approx(0.2)
    assert figures['age_p50_ms'] == pytest.approx(40) and figures['age_p99_ms'] == pytest.approx(40)
    assert figures['valid_share'] == 0.75 == figures['valid_share_worst']
    changes = [0.01, 1 - 1 / 1.01, 0.01, 1 - 1 / 1.01, 0, 1 - 1 / 1.01, 0.01, 1 - 1 / 1.01, 0.01][:9]
    assert figures['flicker'] == pytest.approx(np.mean(changes), abs=0.001)
    assert figures['compared_share'] == 1 and figures['covered_share'] == 0.75 and figures['delta1'] == 1
    assert figures['abs_rel'] == pytest.approx(0.01 * 4 / 10, abs=1e-4)


def test_another_bag_can_be_the_reference(tmp_path):
    golden = depth_bag(tmp_path / 'golden', truth=False)
    run = depth_bag(tmp_path / 'run', factor=1.1, truth=False)
    figures = measure(run, reference=Reference('/depth/image_rect', golden))
    assert figures['abs_rel'] == pytest.approx(0.1, abs=1e-4) and figures['compared_share'] == 1
    assert main(['bag', 'check', str(run), '--reference', str(golden), '--json']) == 0


def test_an_unreadable_message_is_counted(tmp_path):
    figures = measure(depth_bag(tmp_path / 'bag', damaged_frame=3))
    assert figures['damaged'] == 1 and figures['frames'] == 10 and figures['abs_rel'] is None


def test_broken_limits_are_reported_in_table_json_junit_and_exit_code(tmp_path, capsys):
    bag = depth_bag(tmp_path / 'bag', drop=(5, 6))
    limits = tmp_path / 'limits.yaml'
    limits.write_text('valid_share: {min: 0.7}\nrate_hz: {min: 9.5, max: 30}\nabs_rel: {max: 0.1}\n')
    arguments = ['bag', 'check', str(bag), '--limits', str(limits), '--junit', str(tmp_path / 'junit.xml')]
    assert main(arguments) == 1
    said = capsys.readouterr().out
    assert 'FAILED: rate_hz is 8; expected at least 9.5' in said and 'VIOLATED' in said
    assert 'FAILED: abs_rel is not measured; expected at most 0.1' in said and said.count('FAILED') == 2
    suite = ElementTree.parse(tmp_path / 'junit.xml').getroot()
    assert (suite.get('tests'), suite.get('failures')) == ('4', '2') and len(suite.findall('.//failure')) == 2
    assert main([*arguments, '--json']) == 1
    assert json.loads(capsys.readouterr().out)['passed'] is False
    limits.write_text('valid_share: {min: 0.7}\nabs_rel: {max: 0.1}\n')
    assert main([*arguments, '--reference', '/truth']) == 0
    assert 'FAILED' not in capsys.readouterr().out


@pytest.mark.parametrize(
    ('content', 'text'),
    [
        ('', 'contains no limits'),
        ('valid_shar: {min: 1}', "did you mean 'valid_share'"),
        ('valid_share: 0.8', 'expected {min: NUMBER}'),
        ('valid_share: {least: 0.8}', 'expected {min: NUMBER}'),
        ('valid_share: {min: much}', 'expected {min: NUMBER}'),
        ('a: [', 'cannot be read as limits'),
    ],
)
def test_invalid_limits_are_an_error(tmp_path, content, text):
    (tmp_path / 'limits.yaml').write_text(content)
    with pytest.raises(BadFile, match=text):
        read_limits(tmp_path / 'limits.yaml')


def test_invalid_references_and_a_bag_with_one_frame(tmp_path, capsys):
    bag = depth_bag(tmp_path / 'bag')
    for reference, text in (('truth', 'begins with a slash'), ('/nothing', '--reference RECORDING:/nothing')):
        assert main(['bag', 'check', str(bag), '--reference', reference]) == 1
        assert text in capsys.readouterr().err
    with BagWriter(tmp_path / 'other') as writer:
        writer.add('/depth/image_rect', depth_message(np.ones((8, 8), np.float32), 10**9), 10**9)
    with pytest.raises(BadFile, match='expected the same size'):
        measure(bag, reference=Reference('/depth/image_rect', tmp_path / 'other'))
    figures = measure(tmp_path / 'other')
    assert figures['frames'] == 1 and figures['rate_hz'] is None and figures['drop_share'] is None
    assert [result.kept for result in check_limits(figures, {'rate_hz': {'min': 1.0}})] == [False]


def drive(path):
    """Write a stereo recording of a wall at 3.75 m, with true depth."""
    images, infos = pair(np.full((240, 320), 8.0, np.float32)), calibrations(320, 240)
    with BagWriter(path) as bag:
        for i in range(10):
            stamp = 10**9 + i * 10**8
            for side, pixels, calibration in zip(('left', 'right'), images, infos, strict=True):
                bag.add(f'/{side}/camera_info', info(calibration, stamp), stamp)
                bag.add(f'/{side}/image_rect', image(pixels, stamp), stamp)
            bag.add('/truth/depth', depth_message(np.full((240, 320), 3.75, np.float32), stamp), stamp)
    return path


@pytest.mark.parametrize('page', ['README.md', 'docs/bags.md'])
def test_the_commands_of_the_documentation_work_as_written(tmp_path, monkeypatch, capsys, page):
    text = (ROOT / page).read_text()
    commands = [
        shlex.split(line, comments=True) for line in re.findall(r'^depth-ros bag (?:process|check) .*', text, re.M)
    ]
    assert [command[2] for command in commands] == ['process', 'check']
    limits = re.search(r'```yaml\n(valid_share.*?)```', (ROOT / 'docs/bags.md').read_text(), re.S)[1]
    drive(tmp_path / 'drive')
    (tmp_path / 'limits.yaml').write_text(limits)
    (tmp_path / 'config').symlink_to(ROOT / 'config')
    monkeypatch.chdir(tmp_path)
    for command in commands:
        assert main(command[1:]) == 0, capsys.readouterr()
    output = capsys.readouterr().out
    assert 'FAILED' not in output and all(figure in output for figure in ('abs_rel', 'drop_share'))


def test_the_failure_of_an_unmeasured_figure_says_how_to_measure_it(tmp_path, capsys):
    drive(tmp_path / 'drive')
    assert main(['bag', 'process', str(tmp_path / 'drive'), str(tmp_path / 'out')]) == 0
    (tmp_path / 'limits.yaml').write_text('drop_share: {max: 0.1}\nabs_rel: {max: 0.1}')
    check = ['bag', 'check', str(tmp_path / 'out'), '--limits', str(tmp_path / 'limits.yaml')]
    assert main(check) == 1
    output = capsys.readouterr().out
    assert 'bag process --keep-inputs' in output and 'give --reference' in output
    assert main([*check, '--reference', '/truth/depth']) == 1
    assert '--reference RECORDING:/truth/depth' in capsys.readouterr().err
    assert main([*check, '--reference', f'{tmp_path}/nothing:/truth/depth']) == 1
    assert 'expected a topic that begins with a slash, a bag that exists, or both' in capsys.readouterr().err
    main([*check, '--reference', f'{tmp_path}/drive:/truth/depth', '--json'])
    figures = json.loads(capsys.readouterr().out)['figures']
    assert figures['compared_share'] == 1 and figures['abs_rel'] < 0.05


@pytest.mark.slow
def test_the_example_checks_a_simulated_drive(tmp_path):
    simulated_drive(tmp_path / 'drive', 8)
    simulated_drive(tmp_path / 'short', 2)

    def run_example(drive):
        command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'test_depth_on_a_bag.py']
        environment = {**os.environ, 'ROBOT_BAG': str(tmp_path / drive)}
        return subprocess.run(command, cwd=tmp_path / 'ci', env=environment, capture_output=True, text=True)

    (tmp_path / 'ci').mkdir()
    for name in ('test_depth_on_a_bag.py', 'depth_limits.yaml'):
        (tmp_path / 'ci' / name).write_text((ROOT / 'examples' / name).read_text().replace('min: 20', 'min: 8'))
    passed = run_example('drive')
    assert passed.returncode == 0 and '1 passed' in passed.stdout, passed.stdout
    (tmp_path / 'ci/depth_limits.yaml').write_text('abs_rel: {max: 0.0001}')
    failed = run_example('short')
    assert failed.returncode == 1 and 'abs_rel is 0.0' in failed.stdout
