"""An incident is opened, changed, and closed."""
