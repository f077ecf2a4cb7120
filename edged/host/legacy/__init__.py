"""`fermyon:spin` without a version: Spin's interfaces before 2.0, on what the newer ones stand on."""
