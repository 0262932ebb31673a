"""What a sweep will take, said before anything is spent on it."""
