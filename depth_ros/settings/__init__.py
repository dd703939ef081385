"""Parameters: tables with defaults and ranges, and the frozen settings made from them."""
