"""`python -m hyoid` is the command line."""

from .cli import main

main()
