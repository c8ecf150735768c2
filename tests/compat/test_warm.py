"""A console script in a child of the warm process says, does and ends what it does as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from notme_git.session import processes
from tests.compat import warm
from tests.compat.conftest import AGENT, Sandbox

Ended = subprocess.CompletedProcess[bytes]

TELLING = """
import os, sys, time
print(time.tzname, sorted(os.environ.items()), os.getcwd(), sys.argv, sys.path[0], __name__, sys.flags)
print([(x.encoding, x.errors, x.isatty(), x.line_buffering) for x in (sys.stdin, sys.stdout, sys.stderr)])
print(len(sys.stdin.read()), sorted(os.listdir("/proc/self/fd"))[:-1])
os.close(os.open("made", os.O_CREAT, 0o666))
print(oct(os.stat("made").st_mode), file=sys.stderr)
os.unlink("made")
"""
ENDS = {
    "falls through": "print(1)",
    "with a status": "import sys; print(1); sys.exit(7)",
    "with a status that is cut": "import sys; sys.exit(0x101)",
    "with a sentence": "import sys; print(1); sys.exit('no')",
    "with nothing": "import sys; print(1); sys.exit()",
    "by an exception": "print(1); 1 / 0",
    "by a signal": "import os; print(1, flush=True); os.kill(os.getpid(), 9)",
    "at once": "import os; print(1); os._exit(3)",
    "without a reader": "import os, sys; print(1); os.close(1); sys.exit(5)",
    "after its thread": "import sys, threading; threading.Timer(0.1, print, [1]).start(); sys.exit(4)",
    "with something to do": "import atexit, sys; atexit.register(print, 2); print(1); sys.exit(4)",
    "with a process that is left": (
        "import subprocess, sys; subprocess.Popen(['sh', '-c', 'sleep .1; echo 2']); sys.exit(4)"
    ),
}


def both(sandbox: Sandbox, program: str, *words: str | Path, **options: Any) -> Any:
    """What a command says in a real process, after it was seen to say the same in a warm one."""
    call = sandbox.notme if program == "notme-git" else sandbox.attest
    real, other = (call(*words, status=None, real=each, **options) for each in (True, False))
    assert other == real
    return real


def test_commands_say_and_end_the_same(sandbox: Sandbox) -> None:
    sandbox.commit()
    sandbox.unsigned()
    both(sandbox, "notme-git", "--version")
    both(sandbox, "notme-attest", "--help")
    assert both(sandbox, "notme-git", "nonsense").status == 64
    assert both(sandbox, "notme-attest", "verify", "HEAD^").status == 0
    assert both(sandbox, "notme-attest", "verify", "--jsonl", "HEAD", "HEAD^").status == 1
    assert both(sandbox, "notme-git", "verify", "HEAD", cwd=sandbox.root).status == 2
    assert both(sandbox, "notme-attest", "show", "HEAD", environ={"PATH": "/nowhere"}).status == 2
    assert AGENT in both(sandbox, "notme-git", "whoami").text
    assert both(sandbox, "notme-git", "doctor", "--json").json
    assert both(sandbox, "notme-git", "setup", "--agent", "nobody").status == 1
    assert both(sandbox, "notme-attest", "policy", "check", "-", stdin=b"\0" * 200_000).status


def both_run(script: Path, folder: Path, *words: str, stdin: bytes = b"") -> tuple[Ended, Ended]:
    """Run a script in a real process and in a warm one."""
    environ = {**warm.SAME, "PATH": os.defpath, "TZ": "ABC-1", "c\udcff": "\udcfe"}
    options: dict[str, Any] = {"cwd": folder, "env": environ, "input": stdin, "timeout": 60}
    real = subprocess.run([sys.executable, script, *words], capture_output=True, check=False, **options)
    return real, warm.run([script, *words], **options)


def test_a_script_gets_what_a_process_is_given(tmp_path: Path) -> None:
    script = tmp_path / "with a blank"
    script.write_text(TELLING)
    before = os.umask(0o027)
    try:
        real, other = both_run(script, tmp_path, "x", "\udcff", "", stdin=b"x" * 1_000_000)
    finally:
        os.umask(before)
    assert real.stderr == b"0o100640\n"
    assert (other.returncode, other.stdout, other.stderr) == (real.returncode, real.stdout, real.stderr)


@pytest.mark.parametrize("text", ENDS.values(), ids=ENDS)
def test_a_script_ends_as_a_process_ends(text: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(text)
    real, other = both_run(script, tmp_path)
    assert (other.returncode, other.stdout) == (real.returncode, real.stdout)
    assert other.stderr.splitlines()[-1:] == real.stderr.splitlines()[-1:]  # a traceback has other frames


def test_one_that_does_not_end_in_time_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill = Mock(wraps=os.kill)
    monkeypatch.setattr(os, "kill", kill)
    script = tmp_path / "script"
    script.write_text("import time; time.sleep(60)")
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run([script], cwd=tmp_path, env=warm.SAME, timeout=0.1)
    number, _ = kill.call_args.args
    while processes.find(number):
        time.sleep(0.01)


def test_output_as_text_is_what_subprocess_makes_of_it(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("import os; os.write(1, 'ä\\r\\n\\n'.encode()); os.write(2, b'1\\n')")
    options: dict[str, Any] = {"cwd": tmp_path, "env": {**warm.SAME, "PATH": os.defpath}}
    real = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, **options)
    other = warm.run_text([script], **options)
    assert (other.returncode, other.stdout, other.stderr) == (real.returncode, real.stdout, real.stderr)


@pytest.mark.parametrize("name", ["PYTHONPATH", "LD_PRELOAD", "OPENSSL_CONF"])
def test_what_an_interpreter_reads_when_it_starts_needs_a_real_one(name: str, bare_machine: Sandbox) -> None:
    assert warm.possible(bare_machine.environ)
    assert not warm.possible({**bare_machine.environ, name: "x"})
    assert not warm.possible({**bare_machine.environ, "LC_ALL": "C"})
