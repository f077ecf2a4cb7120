"""PostgreSQL: fermyon:spin/postgres and spin:postgres for guests, over a client of our own.

libpq reads environment variables, files of the home folder and service files, resolves names itself and takes a message
of any length. A guest writes its address, so this client knows the protocol, and nothing else.
"""
