"""Semi-global matching and its helpers."""
