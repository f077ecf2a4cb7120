"""What is wrong with a machine that is, or is to become, a node; and how to mend it. See README.md."""
