"""Processing stages from image bytes to point clouds, as pure functions."""
