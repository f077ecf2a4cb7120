"""SQLite databases: fermyon:spin/sqlite, spin:sqlite, and what runs the statements."""
