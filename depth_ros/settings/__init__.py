"""Parameters: tables with types, defaults and ranges, and the frozen settings that hold their values."""
