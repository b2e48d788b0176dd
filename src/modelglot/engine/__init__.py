"""The only part that moves tensor bytes: plan, then execute."""
