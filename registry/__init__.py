"""A content-addressed registry: chunks, releases, signatures. Knows nothing of edged."""
