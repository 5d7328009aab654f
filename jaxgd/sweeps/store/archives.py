"""`.npz` files that describe themselves: the member `about` says in JSON which arrays there are."""

import json
import math
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any

import numpy as np

from jaxgd.strict_json import read_json

_ABOUT = "about"


def about_to(arrays: Mapping[str, np.ndarray], about: Mapping) -> dict[str, np.ndarray]:
    """The arrays with a member that holds `about`, which is JSON.

    Raises:
        TypeError: something in it that JSON cannot hold.
    """
    return {**arrays, _ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8)}


def read_about(file: IO[bytes]) -> Any:
    """What `about_to` put in; a damaged file raises what it raises."""
    with zipfile.ZipFile(file) as archive:
        return _about(archive)


def read_archive(
    file: IO[bytes], names_of: Callable[[Any], Iterable[str]]
) -> tuple[dict[str, np.ndarray], Any]:
    """`(arrays, about)`; a damaged file raises what it raises.

    Args:
        file: of what `about_to` gave.
        names_of: the names of the arrays that an `about` describes. The file holds these and no other.
    """
    with zipfile.ZipFile(file) as archive:
        about = _about(archive)
        names = list(names_of(about))
        members = [info.filename for info in archive.infolist()]
        if sorted(members) != sorted(f"{name}.npy" for name in [*names, _ABOUT]):
            raise ValueError("it holds other arrays than it describes")
        return {name: _array(archive, name) for name in names}, about


def _about(archive: zipfile.ZipFile) -> Any:
    text = _array(archive, _ABOUT)
    if text.dtype != np.uint8 or text.ndim != 1:
        raise ValueError("its description is no text")
    return read_json(text.tobytes(), allow_nan=True)


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    info = archive.getinfo(f"{name}.npy")
    # Nothing that was saved is compressed: a small file cannot take much memory.
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise ValueError(f"the array {name!r} is compressed")
    with archive.open(info) as member:
        _check_size(member, name, info.file_size)
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _check_size(member: IO[bytes], name: str, size: int) -> None:
    """Raise ValueError unless the array's header describes as many bytes as follow it."""
    version = np.lib.format.read_magic(member)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, _, dtype = read_header[version](member)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != size - member.tell():
        raise ValueError(f"the array {name!r} does not have the bytes that its header describes")
