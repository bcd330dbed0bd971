"""KMS: keys, whose policies are IAM's to evaluate."""
