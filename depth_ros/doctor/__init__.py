"""Checks for problems that prevent a node from working, run before the node is started."""
