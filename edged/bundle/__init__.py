"""An app as a release, and a release as an app."""
