"""Commands that configure a node have the same options."""

import json

import numpy as np
import pytest
from scenes import calibrations, pair, write_info
from tiny_model import model

from depth_ros.cli.main import main
from depth_ros.files.image_files import write_image_file
from depth_ros.messages.topic_names import TopicNames


@pytest.mark.parametrize('command', ['bag process', 'eval', 'doctor', 'infer', 'view'])
def test_every_command_that_configures_a_node_documents_the_options_of_a_node(capsys, command):
    with pytest.raises(SystemExit):
        main([*command.split(), '--help'])
    text = capsys.readouterr().out
    options = {
        'infer': ('--model', '--params', '-p NAME:=VALUE'),
        'view': ('--namespace', '-r FROM:=TO'),
    }.get(command, ('--node', '--model', '--params', '-p NAME:=VALUE', '--namespace', '-r FROM:=TO'))
    assert not [option for option in options if option not in text]


def test_doctor_chooses_the_node_by_the_model(tmp_path, capsys):
    assert main(['doctor', '--offline', '--model', str(model(tmp_path / 'tiny')), '--json']) == 0
    findings = json.loads(capsys.readouterr().out)['findings']
    assert 'valid for mono_depth' in findings[0]['what']


def test_infer_reads_a_parameter_file_and_its_own_options_override_it(tmp_path, capsys):
    for side, pixels, calibration in zip(
        ('left', 'right'), pair(np.full((96, 160), 8.0, np.float32)), calibrations(160, 96), strict=True
    ):
        write_image_file(tmp_path / f'{side}.png', pixels)
        write_info(tmp_path / f'{side}.yaml', calibration)
    files = [f'--{side}{kind[0]}={tmp_path}/{side}{kind[1]}' for side in ('left', 'right')
             for kind in (('', '.png'), ('-info', '.yaml'))]  # fmt: skip
    (tmp_path / 'node.yaml').write_text(
        '/**: {ros__parameters: {range_min_m: 1.5, range_max_m: 3.0, colormap: viridis}}'
    )
    command = ['infer', *files, '--out', str(tmp_path / 'out'), '--json', '--params', str(tmp_path / 'node.yaml')]
    assert main(command) == 0  # the wall is at 3.75 m
    assert json.loads(capsys.readouterr().out)['valid_fraction'] == 0
    assert main([*command, '--range-max', '40.0']) == 0
    assert json.loads(capsys.readouterr().out)['valid_fraction'] > 0.5
    assert main([*command, '-p', 'range_max_m:=20.0']) == 0
    assert json.loads(capsys.readouterr().out)['valid_fraction'] > 0.5


def test_names_are_resolved_as_a_node_resolves_them():
    names = TopicNames('/front', (('image', '/cam/image'), ('/front/depth/image_rect', 'depth'), ('/tf', 'tf')))
    assert [names(t) for t in ('image', 'depth/image_rect', 'points', '/tf', '/tf_static')] == [
        '/cam/image', '/front/depth', '/front/points', '/front/tf', '/tf_static',
    ]  # fmt: skip
    assert names.full('image') == '/front/image' and TopicNames()('image') == '/image'
