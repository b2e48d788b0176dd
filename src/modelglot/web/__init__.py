"""`modelglot view`: the documents of `api.viewing` over HTTP, to this machine only."""
