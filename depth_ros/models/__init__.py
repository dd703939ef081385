"""What each network wants and returns: manifests, and the arithmetic that they ask for."""
