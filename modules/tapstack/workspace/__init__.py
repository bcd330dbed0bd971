"""What surrounds a synthesis on disk: state files and the provider mirror."""
