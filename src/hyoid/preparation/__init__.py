"""The room preparation."""
