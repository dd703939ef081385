"""A small ray-cast world with a robot in it: images, exact depth, odometry and a laser scan, without hardware."""
