"""An instance is contained and released."""
