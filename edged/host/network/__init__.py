"""The way out of a guest: which destinations it may reach, and connections to them."""
