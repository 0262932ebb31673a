"""Questions answered by Ray Data workers or in one process, each answer kept under what it follows from."""
