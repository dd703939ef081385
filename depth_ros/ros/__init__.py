"""Everything that knows ROS 2. The rest of the package runs without it."""
