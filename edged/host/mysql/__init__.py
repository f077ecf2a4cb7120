"""MySQL and MariaDB: fermyon:spin/mysql for guests, over a client of our own.

Clients for Python put parameters into the text of a statement, or resolve names, read options from files and answer a
server that asks for one. A guest writes its address, so this client has prepared statements, and nothing else.
"""
