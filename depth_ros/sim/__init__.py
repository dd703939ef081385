"""A small ray-casting simulator with one robot: images, exact depth, odometry and a laser scan."""
