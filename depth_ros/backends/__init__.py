"""What runs a network's file."""
