"""The reading of a request: from bytes to a call of an API with its parameters."""
