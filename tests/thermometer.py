"""Prints how long the files of the package are, how many a folder has, and what each imports of it."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "jaxgd"


def own_imports(tree: ast.AST) -> set[str]:
    """The modules of the package that a file imports from."""
    froms = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name for name in froms if name.split(".")[0] == "jaxgd"}


def main() -> None:
    """Print the folders, then the longest files and those that import most."""
    files = {path: path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}
    lines = {path: len(text.splitlines()) for path, text in files.items()}
    imports = {path: len(own_imports(ast.parse(text))) for path, text in files.items()}
    print(f"{len(files)} files, {sum(lines.values())} lines")
    for folder in sorted({path.parent for path in files}):
        inside = [path for path in files if path.parent == folder and path.name != "__init__.py"]
        total = sum(lines[path] for path in inside)
        print(f"{len(inside):3} files {total:6} lines  {folder.relative_to(PACKAGE.parent)}")
    for what, counts in {"lines": lines, "imports": imports}.items():
        for path in sorted(counts, key=counts.get, reverse=True)[:5]:  # pyright: ignore[reportArgumentType]
            print(f"{counts[path]:5} {what}  {path.relative_to(PACKAGE.parent)}")


if __name__ == "__main__":
    main()
