import os

import pytest

from jaxgd.sweeps.store.files import create


@pytest.fixture
def beside(tmp_path):
    path = tmp_path / "beside"
    path.write_bytes(b"new")
    return path


@pytest.mark.parametrize("has_links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("there", [None, b"new", b"old", b"damaged"])
def test_a_file_gets_its_name(there, has_links, beside, tmp_path, monkeypatch):
    path = tmp_path / "named"
    if there is not None:
        path.write_bytes(there)
    if not has_links:
        monkeypatch.setattr(os, "link", lambda *paths: (_ for _ in ()).throw(PermissionError(1, "no links")))
    create(path, beside)
    assert path.read_bytes() == b"new"
    assert not beside.exists()


def test_whoever_is_first_creates_it(beside, tmp_path):
    first = tmp_path / "first"
    first.write_bytes(b"new")
    create(tmp_path / "named", first)
    number = (tmp_path / "named").stat().st_ino
    create(tmp_path / "named", beside)
    assert (tmp_path / "named").stat().st_ino == number


def test_a_link_in_its_place_is_not_followed(beside, tmp_path):
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "named"
    elsewhere.write_bytes(b"new")
    path.symlink_to(elsewhere)
    create(path, beside)
    assert not path.is_symlink()
    assert path.read_bytes() == elsewhere.read_bytes() == b"new"


def test_a_folder_in_its_place_is_an_error(beside, tmp_path):
    (tmp_path / "named").mkdir()
    with pytest.raises(OSError, match="named"):
        create(tmp_path / "named", beside)
