"""Runtimes, which run the file of a network: one protocol, one module for each runtime, one registry."""
