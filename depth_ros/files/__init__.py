"""Reading and writing files, for the command line, the demo and the examples."""
