"""The command line ``depth-ros``. Every command imports its dependencies when it runs."""
