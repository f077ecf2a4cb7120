"""Large language models: fermyon:spin/llm, and the service that computes for it."""
