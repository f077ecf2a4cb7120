"""What users far away see of an anycast address, before and after something happens to the fleet."""
