"""Stacks of the rehearsal account."""
