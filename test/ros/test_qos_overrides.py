"""`qos_overrides` parameters of publishers and subscriptions, as other nodes see them on a live graph."""

import pytest
import rclpy
import yaml
from graph import Graph, MonoGraph, NodeProcess, Spinner, wait_for
from rclpy.qos import HistoryPolicy, ReliabilityPolicy
from sensor_msgs.msg import Image

from depth_ros.ros import adopting_subscription
from depth_ros.ros.adopting_subscription import AdoptingSubscription
from depth_ros.ros.diagnostics import ERROR
from depth_ros.ros.qos_overrides import unused_qos_overrides

pytestmark = pytest.mark.ros
DEPTH = 'depth/image_rect'


def published_reliability(graph, topic):
    """Return the reliability that the node offers on a topic, as the probe discovers it."""
    offers = wait_for(lambda: graph.probe.get_publishers_info_by_topic(topic), what=f'nobody publishes {topic}')
    return [offer.qos_profile.reliability for offer in offers]


def subscribed_reliability(graph, topic):
    """Return the reliability that the node requests on a topic, as the probe discovers it."""
    requests = wait_for(
        lambda: graph.probe.get_subscriptions_info_by_topic(topic), what=f'nobody subscribes to {topic}'
    )
    return [request.qos_profile.reliability for request in requests]


def test_a_publisher_offers_the_reliability_of_its_override_and_the_others_keep_theirs():
    with Graph({'qos_overrides./depth/image_rect.publisher.reliability': 'best_effort'}, listen=()) as graph:
        assert published_reliability(graph, '/depth/image_rect') == [ReliabilityPolicy.BEST_EFFORT]
        assert published_reliability(graph, '/points') == [ReliabilityPolicy.RELIABLE]


def test_a_publisher_keeps_its_override_when_it_is_configured_again():
    with Graph({'qos_overrides./points.publisher.reliability': 'best_effort'}, listen=()) as graph:
        for transition in ('deactivate', 'cleanup', 'configure', 'activate'):
            assert graph.change_state(transition)
        wait_for(lambda: published_reliability(graph, '/points') == [ReliabilityPolicy.BEST_EFFORT])


def test_history_and_depth_of_publishers_and_subscriptions_follow_their_overrides():
    # DDS does not tell other nodes about history and depth, so the entities themselves are asked.
    values = {
        'qos_overrides./points.publisher.depth': 7,
        'qos_overrides./points.publisher.history': 'keep_all',
        'qos_overrides./left/image_rect.subscription.depth': 9,
        'qos_overrides./right/image_rect.subscription.history': 'keep_all',
    }
    with Graph(values, listen=()) as graph:
        points = graph.node._outputs._publishers['points'].qos_profile
        assert (points.depth, points.history) == (7, HistoryPolicy.KEEP_ALL)
        left, right = (
            graph.node._input.subscriptions[f'{s} image']._subscription.qos_profile for s in ('left', 'right')
        )
        assert (left.depth, left.history) == (9, HistoryPolicy.KEEP_LAST)
        assert (right.depth, right.history) == (5, HistoryPolicy.KEEP_ALL)
        for name, value in values.items():
            assert graph.node.get_parameter(name).value == value


def test_a_subscription_requests_the_reliability_of_its_override_whatever_the_camera_offers():
    name = 'qos_overrides./left/image_rect.subscription.reliability'
    with Graph({name: 'best_effort'}, listen=(DEPTH,)) as graph:
        for side in ('left', 'right'):
            graph.publisher(Image, f'{side}/image_rect')
        wait_for(lambda: subscribed_reliability(graph, '/right/image_rect') == [ReliabilityPolicy.RELIABLE])
        assert subscribed_reliability(graph, '/left/image_rect') == [ReliabilityPolicy.BEST_EFFORT]
        wait_for(lambda: graph.send() and graph.received[DEPTH])


def test_overrides_are_given_for_the_topic_after_namespace_and_remapping():
    with MonoGraph(
        {
            'qos_overrides./front/camera/image_raw.subscription.depth': 3,
            'qos_overrides./front/depth/image_rect.publisher.reliability': 'best_effort',
        },
        listen=(),
        namespace='/front',
        cli_args=['--ros-args', '-r', 'image:=camera/image_raw'],
    ) as graph:
        assert published_reliability(graph, '/front/depth/image_rect') == [ReliabilityPolicy.BEST_EFFORT]
        assert graph.node._input.subscriptions['image']._subscription.qos_profile.depth == 3
        assert unused_qos_overrides(graph.node) == []


def test_a_parameter_file_and_the_command_line_can_give_overrides(tmp_path):
    file = tmp_path / 'parameters.yaml'
    overrides = {'/points': {'publisher': {'reliability': 'best_effort'}}}
    file.write_text(yaml.safe_dump({'/**': {'ros__parameters': {'qos_overrides': overrides}}}))
    arguments = (
        '--ros-args',
        '--params-file',
        str(file),
        '-p',
        'qos_overrides./scan.publisher.reliability:=best_effort',
    )
    with Graph(node=False, listen=()) as graph, NodeProcess(graph.domain, *arguments) as running:
        assert published_reliability(graph, '/points') == [ReliabilityPolicy.BEST_EFFORT]
        assert published_reliability(graph, '/scan') == [ReliabilityPolicy.BEST_EFFORT]
        assert published_reliability(graph, '/depth/image_rect') == [ReliabilityPolicy.RELIABLE]
        running.signal()
        assert running.end()[0] == 0


@pytest.mark.parametrize('entity', ['/points.publisher', '/left/image_rect.subscription'])
@pytest.mark.parametrize(
    ('policy', 'value', 'expected'),
    [
        ('reliability', 'reliabel', "'reliabel'; expected one of best_available, best_effort, reliable"),
        ('history', 'keep_al', "'keep_al'; expected one of keep_all, keep_last"),
        ('depth', -3, '-3; expected a whole number from 1 to 10000'),
        ('depth', 'many', "'many'; expected a whole number from 1 to 10000"),
    ],
)
def test_a_wrong_value_is_an_error_in_diagnostics_that_names_parameter_and_expected_values(
    entity, policy, value, expected
):
    name = f'qos_overrides.{entity}.{policy}'
    with Graph({name: value}, listen=()) as graph:
        level, words, values = graph.wait_for_status(f'{name} is {expected}')
        failed, state = ('configure', 'unconfigured') if 'publisher' in entity else ('activate', 'inactive')
        assert level == ERROR and words.startswith(f'cannot {failed}: ')
        assert values['lifecycle'] == graph.lifecycle_state() == state


@pytest.mark.parametrize('name', ['qos_overrides./point.publisher.depth', 'qos_overrides./points.publisher.durability'])
def test_an_override_of_a_topic_or_policy_that_the_node_does_not_have_is_named_in_the_log(name, capfd):
    with Graph({name: 4}, listen=()):
        assert f"'{name}' is ignored: expected qos_overrides.<topic>" in capfd.readouterr().err


@pytest.mark.skipif(not adopting_subscription._REPORTS_MATCHES, reason='rclpy of Humble does not report new publishers')
def test_new_publishers_change_the_reliability_of_a_subscription_that_is_never_refreshed():
    context = rclpy.Context()
    with Graph(node=False, listen=()) as graph:
        rclpy.init(context=context, domain_id=graph.domain)
        reader = rclpy.create_node('reader', context=context)
        spinner = Spinner(context, reader)
        AdoptingSubscription(reader, Image, 'image', print)
        assert subscribed_reliability(graph, '/image') == [ReliabilityPolicy.BEST_EFFORT]
        for reliability in (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT):
            graph.reliability = reliability
            graph.publisher(Image, 'image')
            wait_for(
                lambda reliability=reliability: subscribed_reliability(graph, '/image') == [reliability],
                what=f'the subscription is not {reliability.name}',
            )
        spinner.close()
        reader.destroy_node()
        context.shutdown()
