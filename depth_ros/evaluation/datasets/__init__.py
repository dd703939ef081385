"""Pictures with exact depth, by the layouts in which benchmarks and recordings have them."""
