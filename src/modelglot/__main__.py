"""``python -m modelglot``."""

from modelglot.cli.main import main

if __name__ == "__main__":  # also imported, by processes that help
    main()
