"""What runs the file of a network: one seam, one file per runtime, one registry."""
