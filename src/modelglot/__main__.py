"""``python -m modelglot``."""

from modelglot.cli.main import main

main()
