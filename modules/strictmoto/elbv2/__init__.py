"""Elastic Load Balancing: ARNs, and what is registered."""
