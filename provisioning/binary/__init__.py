"""The one file of edged: how it is built, and what its head says. See README.md."""
