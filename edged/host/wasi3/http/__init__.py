"""`wasi:http` 0.3: requests and responses as a guest has them."""
