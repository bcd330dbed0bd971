"""The functions themselves: each reads the event, and calls what does the work."""
