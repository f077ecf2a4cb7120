"""`edged up`: an app from a developer's folder, served on this machine and swapped when its files change."""
