"""Secrets Manager: passwords that can be made."""
