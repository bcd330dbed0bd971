"""SNS: what topics take, and whom they hand it to."""
