"""SQS: what queues take, keep and hand over."""
