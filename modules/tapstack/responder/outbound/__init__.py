"""What the response sends: notifications, and executions of its workflow."""
