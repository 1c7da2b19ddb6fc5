"""``python -m neuroplastic``."""

from neuroplastic.cli import main

main()
