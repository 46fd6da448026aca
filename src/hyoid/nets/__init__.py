"""The room nets."""
