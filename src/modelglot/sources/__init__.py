"""Where bytes come from and go to: read-only files and folders, the atomic sink."""
