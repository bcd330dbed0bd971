"""AWS RAM: what is shared, with whom, and who accepted it."""
