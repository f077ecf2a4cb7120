"""wasi:http: requests and responses as a guest has them."""
