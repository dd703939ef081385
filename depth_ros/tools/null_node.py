"""A ``stereo_depth`` node without a real estimator, used by ``bench graph`` to measure the rest of the node."""

import sys

from depth_ros.ros import node_process


def main() -> int:
    """Run the node until SIGINT or SIGTERM."""
    node_process.catch_signals()
    from depth_ros.estimators.fake_estimator import FakeEstimator
    from depth_ros.ros.stereo_node import StereoDepthNode

    return node_process.run(lambda: StereoDepthNode(lambda settings, watch: FakeEstimator()))


if __name__ == '__main__':
    sys.exit(main())
