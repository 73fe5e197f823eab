"""The command line: parse, call, print. No work is done here, and nothing else prints to standard output."""
