"""What a publisher or operator asks of a fleet."""
