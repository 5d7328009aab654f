"""Lines of JSON: whole or not at all, whoever writes them and however that ends."""

import fcntl
import json
import math
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jaxgd.logs.json_lines import JsonLines

ROOT = Path(__file__).parents[2]


def strict(line):
    """What a line says, in JSON as its standard has it."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(line, parse_constant=refuse)


def lines(path):
    text = path.read_text()
    assert text == "" or text.endswith("\n")
    return [strict(line) for line in text.splitlines()]


def put(path, *rows, **options):
    log = JsonLines(path, **options)
    log.open()
    log.write(rows)
    log.close()


def child(code, *arguments):
    """A process that runs the code with a log `log` of its first argument, which is open; its pipes."""
    begin = (
        "import sys; from jaxgd.logs.json_lines import JsonLines; log = JsonLines(sys.argv[1]); log.open()\n"
    )
    command = [sys.executable, "-c", begin + code, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    return process, process.stdin, process.stdout


def test_a_row_is_a_line_of_strict_json(tmp_path):
    path = tmp_path / "log.jsonl"
    row = {"run": 0, "name": 'a "b"\n\u2028\udc80', "none": None, "yes": True, "loss": 0.1, "many": 2**70}
    odd = {"run": 1, "loss": math.nan, "most": math.inf, "least": -math.inf, "complex": 1j}
    put(path, row, odd)
    assert lines(path) == [row, {"run": 1, "loss": None, "most": None, "least": None, "complex": "1j"}]
    assert list(lines(path)[0]) == list(row)


def test_rows_are_appended_unless_they_replace_others(tmp_path):
    path = tmp_path / "log.jsonl"
    put(path, {"run": 0})
    put(path, {"run": 1}, {"run": 2})
    assert lines(path) == [{"run": 0}, {"run": 1}, {"run": 2}]
    put(path, {"run": 3}, overwrite=True)
    assert lines(path) == [{"run": 3}]


TORN = ['{"run": 1, "lo', '{"epoch": 3, "train_loss": 0.', '{"r', "{"]


@pytest.mark.parametrize("torn", TORN)
@pytest.mark.parametrize("before", ["", '{"run": 0}\n'])
def test_what_a_killed_process_left_of_a_line_is_removed(tmp_path, torn, before):
    path = tmp_path / "log.jsonl"
    path.write_text(before + torn)
    JsonLines(path)
    assert path.read_text() == before + torn  # not before it is opened
    put(path, {"run": 5})
    assert lines(path) == [*([{"run": 0}] if before else []), {"run": 5}]


def test_a_last_line_without_its_end_is_kept(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"run": 0}\n{"run": 1}')
    put(path, {"run": 2})
    assert lines(path) == [{"run": 0}, {"run": 1}, {"run": 2}]


OTHERS = [
    "epochs = 10\n",
    "a,b\n1,2\n",
    "[1, 2]\n",
    '{\n  "a": 1\n}\n',
    "note",
    "{'run': 1}",
    "[" * 10**5 + "\n",
]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("content", OTHERS, ids=range(len(OTHERS)))
def test_a_file_of_something_else_is_not_written_to(tmp_path, content, overwrite):
    path = tmp_path / "mine.txt"
    path.write_text(content)
    with pytest.raises(
        ValueError, match=r"log is '.*mine\.txt', which holds no lines of JSON and is not writ"
    ):
        JsonLines(path, overwrite)
    assert path.read_text() == content


def test_places_where_no_file_can_be(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"log is '.*log\.jsonl', .*: there is no folder '.*none'"):
        JsonLines(tmp_path / "none" / "log.jsonl")
    with pytest.raises(IsADirectoryError, match=r"log is '.*', which cannot be written: it is a folder"):
        JsonLines(tmp_path)
    for name in ("", "a\0b"):
        with pytest.raises(ValueError, match=r"log is '.*'; the name of a file is needed"):
            JsonLines(name)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        JsonLines(tmp_path / "file" / "log.jsonl")
    with pytest.raises(OSError, match=r"log is '.*', which cannot be written: File name too long"):
        JsonLines(tmp_path / ("long" * 100))


def test_nothing_is_made_before_it_is_opened(tmp_path):
    JsonLines(tmp_path / "log.jsonl")
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
rows = [{"run": run, "text": "x" * 280} for run in range(10)]
try:
    log.write(rows)
except OSError as error:
    print("failed:", error.strerror)
"""


def test_a_line_that_a_full_disk_cuts_off_is_taken_back(tmp_path):
    path = tmp_path / "log.jsonl"
    process, *_ = child(FULL, path)
    assert process.communicate()[0].startswith("failed:")
    assert [row["run"] for row in lines(path)] == [0, 1, 2]
    assert len(path.read_bytes()) < 1000 - 20  # the fourth had begun


ENDLESS = """
print("open", flush=True)
run = 0
while True:
    log.write([{"run": run + i, "text": "x" * 20000} for i in range(20)])
    run += 20
"""


def test_a_killed_process_leaves_whole_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    rows = []
    for trial in range(3):
        process, _, said = child(ENDLESS, path)
        assert said.readline() == "open\n"
        size = path.stat().st_size
        while path.stat().st_size < size + 10**6 * (trial + 1):
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate()
        whole = path.read_bytes().rpartition(b"\n")[0].splitlines()
        put(path, {"run": -1})
        rows = lines(path)
        assert len(rows) == len(whole) + 1
    runs = [row["run"] for row in rows]
    assert runs.count(-1) == 3
    assert runs[: runs.index(-1)] == list(range(runs.index(-1)))


SHARED = """
print("open", flush=True)
sys.stdin.readline()
for part in range(20):
    log.write([{"run": part * 25 + i, "owner": sys.argv[2], "text": "x" * 5000} for i in range(25)])
"""


def test_two_processes_share_a_file(tmp_path):
    path = tmp_path / "log.jsonl"
    children = [child(SHARED, path, owner) for owner in "ab"]
    for _, _, said in children:
        assert said.readline() == "open\n"
    for _, told, _ in children:
        told.write("go\n")
        told.flush()
    for process, _, _ in children:
        process.communicate()
    rows = lines(path)
    for owner in "ab":
        assert [row["run"] for row in rows if row["owner"] == owner] == list(range(500))


def test_what_is_no_file_gets_lines_too():
    reader, writer = os.pipe()
    put(f"/dev/fd/{writer}", {"run": 0}, {"run": 1})
    os.close(writer)
    with os.fdopen(reader) as file:
        assert [strict(line) for line in file] == [{"run": 0}, {"run": 1}]
    put(os.devnull, {"run": 0})


WAITING = """
print("open", flush=True)
sys.stdin.readline()
print("writes", flush=True)
log.write([{"run": 1}])
print("wrote", flush=True)
"""


def test_a_writer_waits_for_another(tmp_path):
    path = tmp_path / "log.jsonl"
    process, told, said = child(WAITING, path)
    assert said.readline() == "open\n"
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        told.write("go\n")
        told.flush()
        assert said.readline() == "writes\n"
        assert not select.select([said], [], [], 0.3)[0]
        assert path.read_text() == ""
    assert said.readline() == "wrote\n"
    process.communicate()
    assert lines(path) == [{"run": 1}]
