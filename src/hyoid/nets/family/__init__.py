"""The room nets/family."""
