"""Images of OCI registries, as far as `spin registry push` makes them (image-spec 1.1, distribution-spec 1.1)."""
