"""`jaxgd schema`: the JSON Schema of a sweep's file, for editors."""

import argparse
import json


def add(commands) -> None:
    """Add the command's parser."""
    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of a sweep's file, for editors",
        description="Print the JSON Schema of the TOML file of a sweep, by which an editor completes keys "
        "and words and marks mistakes: jaxgd schema > sweep.schema.json, and #:schema sweep.schema.json as "
        "the first line of the file.",
    )
    schema.set_defaults(run=_schema)


def _schema(arguments: argparse.Namespace, command: str) -> None:
    from jaxgd.specs.schema import spec_schema

    print(json.dumps(spec_schema(), indent=1))
