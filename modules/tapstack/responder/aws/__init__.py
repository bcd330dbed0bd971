"""Clients of AWS, its errors, and calls in parallel."""
