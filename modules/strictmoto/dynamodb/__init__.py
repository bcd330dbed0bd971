"""DynamoDB: one call at a time."""
