"""`python -m jaxgd` is the command `jaxgd`."""

from jaxgd.cli import command

if __name__ == "__main__":
    command()
