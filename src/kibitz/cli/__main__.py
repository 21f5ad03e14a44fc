"""`python -m kibitz.cli`: the command line where its script is not on the path."""

from kibitz.cli import main

main()
