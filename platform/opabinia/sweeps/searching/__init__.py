"""Search algorithms: which trials come next, given what the trials so far have scored."""
