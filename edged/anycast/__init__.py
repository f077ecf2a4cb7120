"""When this node's prefixes are announced, and how it leaves: evidence, gate, speaker, drain."""
