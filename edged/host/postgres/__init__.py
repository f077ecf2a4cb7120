"""PostgreSQL: fermyon:spin/postgres and spin:postgres for guests, over pg8000, in threads.

libpq reads environment variables, files of the home folder and service files, resolves names itself and takes a message
of any length. A guest writes its address, so it is pg8000 here, on a connection that was dialled before.
"""
