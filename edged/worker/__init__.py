"""A worker: one engine, the apps it serves, and the listeners in front of them.

Nothing is imported here. The supervisor needs what it and its workers say to each other, which is little, and nothing
of what runs guests, which is a third of all there is to import.
"""
