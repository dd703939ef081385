"""The command line ``depth-ros``. Each command imports what it needs when it runs."""
