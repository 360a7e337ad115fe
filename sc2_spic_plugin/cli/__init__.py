"""The console command and what its subcommands do."""
