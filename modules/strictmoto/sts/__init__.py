"""STS: what temporary credentials are given for, and what their sessions keep."""
