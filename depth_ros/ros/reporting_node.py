"""A lifecycle node that reports the reason if a transition fails."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node

from depth_ros.errors import DepthRosError

_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class ReportingNode(LifecycleNode):
    """Lifecycle node in which an exception fails the transition, is logged and is kept as ``_problem``.

    rclpy discards exceptions of transitions.

    Args:
        name: Name of the node.
        node_options: Keyword arguments of ``rclpy.node.Node``.
    """

    def __init__(self, name: str, **node_options: Any) -> None:
        super().__init__(name, **node_options)
        self._lifecycle = 'unconfigured'
        self._problem = ''

    @abstractmethod
    def _configure(self) -> None:
        """Check the parameters and build the estimator and the outputs."""

    @abstractmethod
    def _activate(self) -> None:
        """Subscribe and start processing."""

    @abstractmethod
    def _stop_worker(self) -> bool:
        """Unsubscribe and finish or cancel the current frame; return whether the worker has stopped."""

    @abstractmethod
    def _cleanup(self) -> None:
        """Release everything that ``_configure`` built."""

    def _shut_down(self) -> bool:
        stopped = self._stop_worker()
        self._cleanup()
        return stopped

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters and build the estimator and the outputs."""
        return self._transition('configure', 'inactive', self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and start processing."""
        return self._transition('activate', 'active', self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and finish or cancel the current frame."""
        return self._transition('deactivate', 'inactive', self._stop_worker)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the estimator and the outputs."""
        return self._transition('clean up', 'unconfigured', self._cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate and clean up, from any state."""
        return self._transition('shut down', 'finalized', self._shut_down)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured, so that the node can be configured again."""
        return self._transition('recover', 'unconfigured', self._shut_down)

    def _transition(self, name: str, target: str, act: Callable[[], object]) -> TransitionCallbackReturn:
        try:
            act()
        except Exception as error:
            kind = '' if isinstance(error, DepthRosError) else f'{type(error).__name__}: '
            self._problem = f'cannot {name}: {kind}{error}'
            self.get_logger().error(self._problem)
            return _FAILURE
        self._lifecycle = target
        self._problem = ''
        return _SUCCESS


def namesake_warning(node: Node) -> str:
    """Return a sentence for a graph on which other nodes have the name of this one; else an empty text."""
    count = node.get_node_names_and_namespaces().count((node.get_name(), node.get_namespace()))
    if count < 2:
        return ''
    return (
        f'{count} nodes are named {node.get_fully_qualified_name()}: their parameters, services and outputs are mixed '
        'up. Stop all but one, or start them in other namespaces (-r __ns:=/other)'
    )
