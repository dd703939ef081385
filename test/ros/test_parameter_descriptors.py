"""What other nodes learn about the parameters over the graph (describe_parameters) is what the table says."""

import pytest
from graph import Graph, MonoGraph
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, ListParameters, SetParameters
from rclpy.parameter import Parameter

from depth_ros.settings.node_settings import MonoSettings, StereoSettings
from depth_ros.settings.parameter_table import defaults, rules

pytestmark = pytest.mark.ros
NODES = pytest.mark.parametrize(
    ('kind', 'name', 'table'),
    [(Graph, 'stereo_depth', StereoSettings), (MonoGraph, 'mono_depth', MonoSettings)],
    ids=['stereo', 'mono'],
)
TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
}
OF_RCLPY = {'use_sim_time', 'start_type_description_service'}


def results(graph, node, values):
    """Set parameters one by one in one call; return whether each was accepted, and the reason."""
    request = SetParameters.Request(parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in values])
    answers = graph.call(SetParameters, f'{node}/set_parameters', request).results
    return [(answer.successful, answer.reason) for answer in answers]


@NODES
def test_describe_parameters_answers_what_the_table_says(kind, name, table):
    with kind(listen=()) as graph:
        request = DescribeParameters.Request(names=list(rules(table)))
        described = graph.call(DescribeParameters, f'{name}/describe_parameters', request).descriptors
    assert [each.name for each in described] == list(rules(table))
    for found in described:
        rule, default = rules(table)[found.name], defaults(table)[found.name]
        assert found.type == TYPES[type(default)], found.name
        assert found.description == rule.description and found.description
        assert found.read_only == rule.read_only, found.name
        assert found.additional_constraints == (f'one of {", ".join(rule.choices)}' if rule.choices else '')
        ranges = {
            float: [(r.from_value, r.to_value, r.step) for r in found.floating_point_range],
            int: [(r.from_value, r.to_value, r.step) for r in found.integer_range],
        }
        step = {float: 0.0, int: 1}
        for type_, got in ranges.items():
            has_range = type(default) is type_ and rule.minimum is not None
            assert got == ([(rule.minimum, rule.maximum, step[type_])] if has_range else []), found.name


@NODES
def test_list_parameters_answers_every_parameter_of_the_table(kind, name, table):
    with kind(listen=()) as graph:
        names = graph.call(ListParameters, f'{name}/list_parameters', ListParameters.Request()).result.names
    assert {each for each in names if not each.startswith('qos_overrides.')} == set(rules(table)) | OF_RCLPY


@NODES
def test_every_declared_range_and_choice_is_enforced(kind, name, table):
    wrong = []
    for parameter, rule in rules(table).items():
        if rule.choices:
            wrong.append((parameter, 'no such choice'))
        if rule.minimum is not None and rule.maximum is not None:
            of_its_type = type(defaults(table)[parameter])
            wrong += [(parameter, of_its_type(rule.minimum - 1)), (parameter, of_its_type(rule.maximum + 1))]
    with kind(listen=()) as graph:
        for (parameter, value), (accepted, reason) in zip(wrong, results(graph, name, wrong), strict=True):
            assert not accepted and parameter in reason, (parameter, value, reason)
        assert graph.node._live_settings.current() == table()


@NODES
def test_every_read_only_parameter_refuses_a_change_and_every_other_one_takes_its_own_value(kind, name, table):
    values = list(defaults(table).items())
    with kind(listen=()) as graph:
        for (parameter, _), (accepted, reason) in zip(values, results(graph, name, values), strict=True):
            assert accepted != rules(table)[parameter].read_only, (parameter, reason)
