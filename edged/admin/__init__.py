"""What a node tells whoever is on it: status, metrics and a page, over HTTP on a socket of its own."""
