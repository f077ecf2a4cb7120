"""The guests that tests run: what there is, how each is built, where it is kept. See README.md."""
