"""What each subcommand does, a module for each kind; the command line imports the one it needs."""
