"""The handlers of the Lambda functions: each reads the event and calls a step."""
