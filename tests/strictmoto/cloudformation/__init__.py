"""Stacks of strictmoto."""
