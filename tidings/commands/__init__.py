"""The command `tidings`: one file a command. Each is a thin shell over the core, and ends with one of `exits`."""
