"""AWS Organizations: accounts, and what its policies allow."""
