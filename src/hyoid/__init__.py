"""hyoid: from a folder of annotated medical images to a trained, measured and deployable U-Net."""

__version__ = "0.1.0"
