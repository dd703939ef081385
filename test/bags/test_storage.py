"""Recordings are read from their files, also if metadata.yaml disagrees or some topics are unreadable."""

import json
import sqlite3
import struct
from contextlib import closing

import numpy as np
import pytest
import yaml
from bag_files import STORE, BagWriter, image, write_bag
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)  # fmt: skip
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapReader
from tiny_model import model

from depth_ros.bags.bag_processing import process_recording
from depth_ros.bags.bag_reader import Bag
from depth_ros.bags.bag_summary import summarize_bag
from depth_ros.cli.main import main
from depth_ros.errors import BadFile
from depth_ros.settings.node_settings import MonoSettings, StereoSettings

SETTINGS = StereoSettings(range_min_m=2.0)
QOS = {
    'history': 3, 'depth': 0, 'reliability': 1, 'durability': 2, 'deadline': {'sec': 0, 'nsec': 0},
    'lifespan': {'sec': 0, 'nsec': 0}, 'liveliness': 1, 'liveliness_lease_duration': {'sec': 0, 'nsec': 0},
    'avoid_ros_namespace_conventions': False,
}  # fmt: skip


def change_metadata(path, change):
    """Edit the entries of the topics in metadata.yaml."""
    content = yaml.safe_load((path / 'metadata.yaml').read_text())
    for topic in content['rosbag2_bagfile_information']['topics_with_message_count']:
        change(topic)
    (path / 'metadata.yaml').write_text(yaml.safe_dump(content))


def write_different_qos(path, plugin):
    """Write different QoS profiles to metadata.yaml and the file, as in the test recordings of rosbag2."""
    change_metadata(path, lambda topic: topic['topic_metadata'].update(offered_qos_profiles=yaml.safe_dump([QOS])))
    if plugin is StoragePlugin.SQLITE3:
        other = yaml.safe_dump([{**QOS, 'depth': 7, 'reliability': 2}])
        with closing(sqlite3.connect(next(path.glob('*.db3')))) as database, database:
            database.execute('UPDATE topics SET offered_qos_profiles = ?', (other,))


@pytest.mark.parametrize('compress', [False, True])
@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_a_recording_whose_metadata_and_file_differ_in_qos_is_read_completely(tmp_path, capsys, plugin, compress):
    source = write_bag(tmp_path / 'in', plugin=plugin, compress=compress)
    write_different_qos(source, plugin)
    assert {topic.name: topic.messages for topic in summarize_bag(source).topics} == {
        f'/{side}/{name}': 5 for side in ('left', 'right') for name in ('image_rect', 'camera_info')
    }
    assert main(['bag', 'process', str(source), str(tmp_path / 'out'), '-p', 'range_min_m:=2.0']) == 0
    assert '5 of 5 frames' in capsys.readouterr().out


@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_topics_and_counts_that_metadata_does_not_have_are_read_from_the_file(tmp_path, plugin):
    source = write_bag(tmp_path / 'in', plugin=plugin)
    content = yaml.safe_load((source / 'metadata.yaml').read_text())
    about = content['rosbag2_bagfile_information']
    about['topics_with_message_count'] = about['topics_with_message_count'][:1]
    about['topics_with_message_count'][0]['message_count'] = 2
    (source / 'metadata.yaml').write_text(yaml.safe_dump(content))
    report = process_recording(source, tmp_path / 'out', SETTINGS)
    assert (report.frames, report.written, report.remarks) == (5, 5, [])


def test_fewer_messages_than_metadata_lists_are_reported(tmp_path, capsys):
    source = write_bag(tmp_path / 'in')
    change_metadata(source, lambda topic: topic.update(message_count=9 * ('left/image' in str(topic)) or 5))
    assert main(['bag', 'info', str(source)]) == 0
    assert 'metadata.yaml lists 9 messages on /left/image_rect; the files have 5' in capsys.readouterr().out


def test_frames_that_a_file_lists_and_that_were_not_read_are_an_error(tmp_path, capsys):
    source = write_bag(tmp_path / 'in', plugin=StoragePlugin.MCAP)
    (file,) = source.glob('*.mcap')
    reader = McapReader(file)
    reader.open()
    left = next(c.id for c in reader.connections if c.topic == '/left/image_rect')
    reader.close()
    # The statistics record of the index counts the messages by channel.
    content = file.read_bytes()
    assert content.count(struct.pack('<HQ', left, 5)) == 1
    file.write_bytes(content.replace(struct.pack('<HQ', left, 5), struct.pack('<HQ', left, 8)))
    for command in (['process', str(source), str(tmp_path / 'out'), '-p', 'range_min_m:=2.0'], ['info', str(source)]):
        assert main(['bag', *command]) == 1
        error = capsys.readouterr().err
        assert 'messages read on ' in error and 'Try ros2 bag reindex' in error and 'Traceback' not in error


def test_a_recording_of_which_no_frame_becomes_depth_gives_exit_code_1(tmp_path, capsys):
    source = write_bag(tmp_path / 'in', damaged=range(5))
    assert main(['bag', 'process', str(source), str(tmp_path / 'out')]) == 1
    assert '0 of 5 frames' in capsys.readouterr().out


def with_service_event(path, plugin, definition='int64 a\nint64 b\n---\nint64 sum\n'):
    """Write an image and a service event with the definition of the service, as rosbag2 records it."""
    with BagWriter(path, storage_plugin=plugin) as bag:
        bag.add('/image', image(np.full((64, 96), 9, np.uint8), 10**9), 10**9)
        event = bag.writer.add_connection(
            '/add/_service_event', 'example_interfaces/srv/AddTwoInts_Event', msgdef=definition, rihs01='RIHS01_0'
        )
        bag.writer.write(event, 10**9 + 5, b'\x00\x01\x00\x00' + bytes(8))
    return path


@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_service_events_make_only_their_own_topic_unreadable(tmp_path, capsys, plugin):
    source = with_service_event(tmp_path / 'in', plugin)
    settings = ['--model', str(model(tmp_path / 'tiny'))]
    assert main(['bag', 'process', str(source), str(tmp_path / 'out'), *settings]) == 0
    output = capsys.readouterr().out
    skipped = 'without a readable message definition: /add/_service_event (example_interfaces/srv/AddTwoInts_Event)'
    assert '1 of 1 frames' in output and output.count(skipped) == 1
    assert main(['bag', 'info', str(source)]) == 0
    output = capsys.readouterr().out
    assert output.count(skipped) == 1 and 'mono under /' in output


def test_a_definition_of_an_unknown_encoding_makes_only_its_own_topic_unreadable(tmp_path):
    source = with_service_event(tmp_path / 'in', StoragePlugin.MCAP)
    (file,) = source.glob('*.mcap')
    text = struct.pack('<I', 39) + b'example_interfaces/srv/AddTwoInts_Event' + struct.pack('<I', 7)
    content = file.read_bytes()
    assert text + b'ros2msg' in content
    file.write_bytes(content.replace(text + b'ros2msg', text + b'unknown'))
    settings = MonoSettings(model=str(model(tmp_path / 'tiny')))
    report = process_recording(source, tmp_path / 'out', settings)
    assert report.written == 1 and '/add/_service_event' in report.remarks[0]


def test_a_required_topic_with_an_invalid_definition_is_named_in_the_error(tmp_path):
    with Writer(tmp_path / 'in', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection('/image', 'sensor_msgs/msg/Image', msgdef='unknown_msgs/Nothing a\n', rihs01='RIHS01_0')
    with pytest.raises(BadFile, match='/image in .* whose message definition in the recording is invalid'):
        process_recording(tmp_path / 'in', tmp_path / 'out', MonoSettings(model=str(model(tmp_path / 'tiny'))))


def test_type_names_of_old_recordings_are_supported(tmp_path):
    source = write_bag(tmp_path / 'in')
    with closing(sqlite3.connect(source / 'in.db3')) as database, database:
        database.execute("UPDATE topics SET type = replace(type, '/msg/', '/')")
        database.execute('DELETE FROM message_definitions')
    assert process_recording(source, tmp_path / 'out', SETTINGS).written == 5


def test_one_topic_under_two_qos_is_read_in_the_order_of_recording(tmp_path):
    with Writer(tmp_path / 'in', version=9) as writer:
        kind = 'sensor_msgs/msg/Image'
        time = QosTime(0, 0)
        both = [
            writer.add_connection('/image', kind, typestore=STORE, offered_qos_profiles=[
                Qos(QosHistory.KEEP_LAST, depth, QosReliability.RELIABLE, QosDurability.VOLATILE, time, time,
                    QosLiveliness.AUTOMATIC, time, False)
            ])
            for depth in (1, 5)
        ]  # fmt: skip
        for i in range(6):
            data = STORE.serialize_cdr(image(np.zeros((2, 2), np.uint8), i), kind)
            writer.write(both[i % 2], i, data)
    bag = Bag(tmp_path / 'in')
    assert [recorded for _, recorded, _ in bag.messages('/image')] == list(range(6)) and bag.count('/image') == 6
    bag.close()


@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_the_rate_of_bursts_is_that_over_the_whole_recording(tmp_path, capsys, plugin):
    """Test 700 messages in 7 bursts 2 s apart, two messages at nearly the same time, and a periodic topic."""
    with BagWriter(tmp_path / 'in', storage_plugin=plugin) as bag:
        message = image(np.zeros((2, 2), np.uint8), 10**9)
        for i in range(700):
            bag.add('/bursts', message, 10**9 + i // 100 * 2 * 10**9 + i % 100 * 10**4)
        bag.add('/latched', message, 10**9)
        bag.add('/latched', message, 10**9 + 2)
        for i in range(141):
            bag.add('/periodic', message, 10**9 + i * 10**8)
    assert main(['bag', 'info', str(tmp_path / 'in'), '--json']) == 0
    found = {topic['name']: topic for topic in json.loads(capsys.readouterr().out)['topics']}
    assert found['/bursts']['rate_hz'] == pytest.approx(699 / 14.0, rel=0.01)
    assert found['/bursts']['longest_gap_s'] == pytest.approx(2.0, abs=0.01)
    assert found['/latched']['rate_hz'] == pytest.approx(1 / 14.0) and found['/latched']['longest_gap_s'] is None
    assert found['/periodic']['rate_hz'] == pytest.approx(10.0) and found['/periodic']['longest_gap_s'] is None
