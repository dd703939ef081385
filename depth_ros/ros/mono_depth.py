"""The executable ``mono_depth``. It imports little, so that signals are caught before the slow imports."""

import sys

from depth_ros.ros import node_process


def main() -> int:
    """Run the node until SIGINT or SIGTERM."""
    node_process.catch_signals()
    from depth_ros.ros.camera_nodes import make_nodes

    return node_process.run(make_nodes)


if __name__ == '__main__':
    sys.exit(main())
