import gzip

import pytest


@pytest.fixture
def write(tmp_path):
    """Writes text or bytes to a file, packed if its name says so, and returns the path."""

    def to_file(content, name="t.csv"):
        path = tmp_path / name
        content = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(content) if name.lower().endswith(".gz") else content)
        return path

    return to_file
