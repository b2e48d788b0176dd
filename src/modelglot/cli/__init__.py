"""The command line: arguments in, api calls, reports out, exit codes. The only part besides the web that talks."""
