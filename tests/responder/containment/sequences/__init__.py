"""A model of all that may come in each other's way while instances are contained and released."""
