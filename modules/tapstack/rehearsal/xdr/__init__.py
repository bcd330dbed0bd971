"""The XDR as one more actor of a rehearsal: it sends an alert, and reads what landed."""
