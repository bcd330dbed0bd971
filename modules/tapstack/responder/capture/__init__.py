"""Network interfaces and their mirror sessions."""
