"""What a fleet says of itself: the shape of a status, and what is wrong with it in words."""
