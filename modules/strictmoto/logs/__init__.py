"""CloudWatch Logs as AWS runs it."""
