"""From a component's bytes to a plan: which core modules to instantiate in which order, and what joins them."""
