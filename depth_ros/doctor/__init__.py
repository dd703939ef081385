"""What keeps a node from working, found before it is started: what, why, and the command that repairs it."""
