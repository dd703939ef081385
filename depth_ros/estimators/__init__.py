"""What turns pixels into raw depth."""
