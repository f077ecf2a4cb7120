"""Where machines come from: a module for each provider, and one table of them (`provider.py`)."""
