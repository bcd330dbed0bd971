"""Tapstack in the account on this machine: a company to protect, deployments, and the report of an incident."""
