"""Nodes and helpers around the depth nodes: cameras, viewer, player, listener, observer."""
