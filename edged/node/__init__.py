"""A node: the supervisor and what it looks after."""
