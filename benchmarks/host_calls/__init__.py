"""What a guest's calls of stores and of other components cost."""
