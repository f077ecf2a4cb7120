"""What clients of PostgreSQL and MySQL servers share: bytes of a connection, the pool, failures, limits of a result."""
