"""The room augmentation."""
