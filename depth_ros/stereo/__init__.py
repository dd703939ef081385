"""Semi-global matching, and what only it needs."""
