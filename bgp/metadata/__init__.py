"""Sessions that a provider describes in its metadata, in the shapes of the providers that we know."""
