"""`python -m sc2_spic_plugin`: the command line as torchrun starts it."""

from .cli.main import main

if __name__ == "__main__":  # a suite's processes import this module again, under another name
    main()
