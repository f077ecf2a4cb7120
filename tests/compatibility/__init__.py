"""docs/compatibility.md, made from the code: `python -m tests.compatibility` writes it, a test says when to."""
