"""The room prediction."""
