"""The executable ``multiview_depth``. It imports little, so that signals are caught before the slow imports."""

import sys

from depth_ros.ros import node_process


def main() -> int:
    """Run the node until SIGINT or SIGTERM."""
    node_process.catch_signals()
    from depth_ros.ros.multiview_node import MultiviewDepthNode

    return node_process.run(MultiviewDepthNode)


if __name__ == '__main__':
    sys.exit(main())
