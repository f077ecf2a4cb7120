"""Values of WIT in a guest's linear memory and core values: the canonical ABI's codecs."""
