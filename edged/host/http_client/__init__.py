"""A client of HTTP/1.1, for guests' requests and for the operator's own services."""
