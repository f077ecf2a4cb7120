"""The fleet: who is in it, what is to run where, and how nodes tell each other."""
