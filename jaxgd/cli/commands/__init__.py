"""The commands, one a module: `<name>_command.add` adds the parser of `jaxgd <name>`."""
