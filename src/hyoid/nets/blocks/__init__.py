"""Blocks: what the levels of a net are made of.

- `conv`: plain, residual, preactivated, V-Net
"""
