"""CloudWatch: namespaces of metrics, and metrics that are set on demand."""
