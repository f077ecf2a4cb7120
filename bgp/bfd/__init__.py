"""Bidirectional Forwarding Detection (RFC 5880): a router that falls silent is noticed within its detection time."""
