"""The room training/regimes."""
