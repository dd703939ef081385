"""Depth from several images of one moving camera with known poses."""
