"""The HTTP client: deliver batches, query calls and feedback."""
