"""Exported networks: manifest, preprocessing, runtime, decoding of outputs, checks, catalog."""
