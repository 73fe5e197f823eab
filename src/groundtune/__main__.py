"""``python -m groundtune``: the same command, as launchers of several processes start it."""

from groundtune.cli.main import main

if __name__ == "__main__":
    main()
