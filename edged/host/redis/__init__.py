"""Redis servers: fermyon:spin/redis for guests, and the client that the key-value engine and the trigger share."""
