"""Accuracy of depth against ground truth: datasets, metrics and reports."""
