"""`python -m sc2_spic_plugin`: the command line as torchrun starts it."""

from .cli.main import main

main()
