"""From a bare machine to a node: what a fleet.toml says of machines, as user-data, files and units. Knows no edged."""
