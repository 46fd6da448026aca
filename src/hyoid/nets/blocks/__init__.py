"""The room nets/blocks."""
