"""Systems Manager as AWS has it."""
