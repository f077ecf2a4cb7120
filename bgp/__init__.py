"""Announcing prefixes to BGP peers while a node is healthy, and leaving without a failed request. Knows no edged."""
