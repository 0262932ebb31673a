"""Search spaces, search algorithms and the driver of a sweep."""
