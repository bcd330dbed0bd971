"""What a deployment needs of this machine and of AWS: state files, the provider mirror, Terraform, credentials."""
