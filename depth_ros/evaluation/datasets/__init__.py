"""Datasets with true depth: readers for the layouts of benchmarks, image folders, recordings and the simulator."""
