"""Metres for relative predictions: fits against reference depth or the floor, tracked over time."""
