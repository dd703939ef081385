"""A lifecycle node whose transitions say what went wrong."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node

from depth_ros.errors import DepthRosError

_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class ReportingNode(LifecycleNode):
    """rclpy swallows what a transition raises; here it fails the transition, is logged and is kept as ``_trouble``.

    Args:
        name: Of the node.
        node_options: As ``rclpy.node.Node``.
    """

    def __init__(self, name: str, **node_options: Any) -> None:
        super().__init__(name, **node_options)
        self._lifecycle = 'unconfigured'
        self._trouble = ''

    @abstractmethod
    def _configure(self) -> None:
        """Check the parameters and build what work needs."""

    @abstractmethod
    def _activate(self) -> None:
        """Subscribe and start to work."""

    @abstractmethod
    def _stop_worker(self) -> bool:
        """Unsubscribe; the work at hand is finished or given up."""

    @abstractmethod
    def _cleanup(self) -> None:
        """Let go of what configuring built."""

    def _shut_down(self) -> bool:
        stopped = self._stop_worker()
        self._cleanup()
        return stopped

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters and build the estimator and the outputs."""
        return self._transition('configure', 'inactive', self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and start to work."""
        return self._transition('activate', 'active', self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe; the frame at hand is finished or given up."""
        return self._transition('deactivate', 'inactive', self._stop_worker)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the estimator and the outputs."""
        return self._transition('clean up', 'unconfigured', self._cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Do what deactivating and cleaning up do, from any state."""
        return self._transition('shut down', 'finalized', self._shut_down)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured, from where configuring can be tried again."""
        return self._transition('recover', 'unconfigured', self._shut_down)

    def _transition(self, name: str, target: str, act: Callable[[], object]) -> TransitionCallbackReturn:
        try:
            act()
        except Exception as error:
            kind = '' if isinstance(error, DepthRosError) else f'{type(error).__name__}: '
            self._trouble = f'cannot {name}: {kind}{error}'
            self.get_logger().error(self._trouble)
            return _FAILURE
        self._lifecycle = target
        self._trouble = ''
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
