"""Nodes and helpers used beside the depth nodes: cameras, viewer, bag player, listener, graph observer."""
