"""Another version of edged on a machine that is a node: `edged upgrade`. Read `upgrade.py` first."""
