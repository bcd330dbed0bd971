"""Tapstack's own stacks: how the deployment file becomes Terraform. Not distributed."""
