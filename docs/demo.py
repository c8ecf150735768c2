"""The whole way once, for real: `make demo`.

In a temporary directory: an authority, a grant, a repository; commits and a tag by the agent, one commit
by the human's own ssh key; then git, our verifier and a tool that is not ours look at the same signature,
and a tampered commit is refused. Everything is removed at the end. Exits 0 only if every command ended
as this script says it should.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOOLS = Path(sys.executable).parent
HUMAN = "Alice Example <alice@example.org>"


class Demo:
    """A shell with a voice: runs commands in the temporary repository and shows them with their output."""

    def __init__(self, root: Path) -> None:
        self.root, self.repo = root, root / "repo"
        self.environ = {
            "PATH": f"{TOOLS}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(root / "user"),
            "NOTME_HOME": str(root / "notme"),
            "XDG_RUNTIME_DIR": str(root / "run"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }
        for folder in (root / "user", root / "run", self.repo):
            folder.mkdir(mode=0o700)

    def say(self, text: str) -> None:
        """A heading."""
        print(f"\n# {text}", flush=True)

    def run(self, command: str, *, status: int = 0, show: bool = True, hide: str = "") -> str:
        """Run one command line, show it and what it prints, and insist on its exit status."""
        if show:
            print(f"$ {self._short(command)}", flush=True)
        done = subprocess.run(
            shlex.split(command),
            cwd=self.repo,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        output = done.stdout + done.stderr
        if show:
            for line in output.splitlines():
                if not hide or not re.search(hide, line):
                    print(f"  {self._short(line)}", flush=True)
        if done.returncode != status:
            print(f"{output}\nthe demo expected exit status {status}, not {done.returncode}", file=sys.stderr)
            sys.exit(1)
        if show and status:
            print(f"  (exit status {status}, as it should be)", flush=True)
        return done.stdout

    def has(self, tool: str) -> bool:
        """Whether a program is on the PATH."""
        return shutil.which(tool, path=self.environ["PATH"]) is not None

    def _short(self, text: str) -> str:
        return text.replace(str(self.root), "/tmp/demo")


def main() -> None:
    """Run the demo in a directory that is removed whatever happens."""
    with tempfile.TemporaryDirectory(prefix="notme-demo-") as directory:
        demo = Demo(Path(directory).resolve())
        principals(demo)
        agent_signs(demo)
        human_signs(demo)
        look(demo)
        attest(demo)
        others_look(demo)
        tamper(demo)
        wrapper(demo)
        stock(demo)
        demo.run("notme-git daemon stop", show=False)
    print("\nDone; the temporary directory is gone.")


def principals(demo: Demo) -> None:
    demo.say("An authority on this machine, for one human; its keys and its anchor lie in NOTME_HOME")
    demo.run(f'notme-git init --key-store file --human "{HUMAN}"', hide=r"PRIVATE KEY|^M[A-Za-z0-9+/=]{40,}$")
    demo.say("The human lets an agent sign, for thirty days")
    demo.run("notme-git grant add claude-code")
    demo.say("In the repository, git is told to sign as that agent")
    demo.run("git init -q -b main .")
    demo.run("notme-git setup --agent claude-code")


def agent_signs(demo: Demo) -> None:
    demo.say("Plain git: two commits and a tag, each with its own five-minute bridge certificate")
    for number, word in enumerate(("first", "second"), 1):
        (demo.repo / "code.txt").write_text(f"line {number}\n", "utf-8")
        demo.run("git add code.txt", show=False)
        demo.run(f'git commit -q -m "{word} change by the agent"')
    demo.run('git tag -s -m "release by the agent" v1')


def human_signs(demo: Demo) -> None:
    demo.say("One commit by the human with an own ssh key: human's key, not by this authority")
    if not demo.has("ssh-keygen"):
        print("  skipped: ssh-keygen is not installed")
        return
    key = demo.root / "user" / "alice"
    demo.run(f'ssh-keygen -q -t ed25519 -N "" -C alice -f {key}', show=False)
    own = f"-c gpg.format=ssh -c user.signingkey={key}"
    names = " ".join(
        f"-c {role}.name='Alice Example' -c {role}.email=alice@example.org" for role in ("author", "committer")
    )
    demo.run("git checkout -q -b by-hand")
    demo.run(f'git {own} {names} commit -q --allow-empty -m "by hand"')
    demo.run("notme-attest verify by-hand", status=1)
    demo.run("git checkout -q main", show=False)


def look(demo: Demo) -> None:
    demo.say("What git shows")
    demo.run("git log --format='%h %G? %GS' main")
    demo.run("git verify-commit HEAD")
    demo.run("git verify-tag v1")
    demo.say("What our verifier finds in eight steps; it gives no verdict yet")
    demo.run("notme-attest examine HEAD~1")
    demo.say("The verdict, for a commit and for the tag")
    demo.run("notme-attest verify HEAD")
    demo.run("notme-attest verify v1")


def attest(demo: Demo) -> None:
    demo.say("A signed statement, kept in the repository under refs/attestations/notme")
    demo.run(f"notme-git attest HEAD --out {demo.root / 'bundle.json'}")
    demo.run("notme-attest show HEAD")


def others_look(demo: Demo) -> None:
    demo.say("The same kinds of signature, checked by tools that are not ours")
    (demo.root / "anchors.pem").write_text(demo.run("notme-git trust export", show=False), "ascii")
    _certtool(demo)
    _openssl(demo)


def _certtool(demo: Demo) -> None:
    if not demo.has("certtool"):
        print("  skipped: certtool (GnuTLS) is not installed; it checks the Ed25519 signature")
        return
    signature, payload = _split(demo, "HEAD")
    der = demo.root / "signature.der"
    der.write_bytes(_dearmour(signature))
    demo.run(
        f"certtool --p7-verify --inder --infile {der} --load-data {payload}"
        f" --load-ca-certificate {demo.root / 'anchors.pem'}",
        hide=r"^$|^\s*(Signing time|Signer's|Serial|Signature Algorithm|eContent|Attributes)",
    )


def _openssl(demo: Demo) -> None:
    if not demo.has("openssl"):
        print("  skipped: openssl is not installed; it checks the interop profile")
        return
    demo.run("notme-git setup --agent claude-code --profile interop")
    demo.run('git commit -q --allow-empty -m "signed with P-256, for tools that cannot check Ed25519"')
    demo.run("git verify-commit HEAD")
    signature, payload = _split(demo, "HEAD")
    der = demo.root / "interop.der"
    der.write_bytes(_dearmour(signature))
    (demo.root / "interop.pem").write_text(
        demo.run("notme-git trust export --profile interop", show=False), "ascii"
    )
    demo.run(
        f"openssl cms -verify -binary -inform DER -in {der} -content {payload}"
        f" -CAfile {demo.root / 'interop.pem'} -out /dev/null"
    )


def tamper(demo: Demo) -> None:
    demo.say("A tampered commit is refused, with the step that refused it")
    raw = demo.run("git cat-file commit HEAD", show=False)
    changed = demo.root / "tampered"
    changed.write_text(
        raw.replace("signed with P-256", "signed with P-257").replace("second change", "other change"),
        "utf-8",
    )
    object_id = demo.run(f"git hash-object -t commit -w {changed}").strip()
    demo.run(f"git verify-commit {object_id}", status=1)
    found = json.loads(demo.run(f"notme-attest verify --json {object_id}", show=False, status=1))
    refused = next(f for f in found["findings"] if f["status"] == "failed")
    demo.run(f"notme-attest verify {object_id}", status=1)
    print(f"  refused by step {refused['step']}, {refused['name']}: {refused['detail']}")
    if refused["step"] != 3:
        sys.exit("the demo expected step 3 to refuse it")


def wrapper(demo: Demo) -> None:
    demo.say("In a repository that nobody set up, a command and all it starts act as the agent")
    demo.repo = demo.root / "elsewhere"
    demo.repo.mkdir()
    demo.run("git init -q -b main .", show=False)
    demo.run("git config user.name 'Alice Example'")
    demo.run("git config user.email alice@example.org")
    inner = "git commit -q --allow-empty -m one; git -c commit.gpgsign=false commit -q --allow-empty -m two"
    demo.run(f"notme-git run --agent claude-code --task 'show what a session is' -- sh -c '{inner}'")
    demo.run("notme-git log")


def stock(demo: Demo) -> None:
    demo.say("In ssh format, stock git and ssh-keygen check the agent's commit, and know nothing of us")
    if not demo.has("ssh-keygen"):
        print("  skipped: ssh-keygen is not installed")
        return
    demo.run("notme-git setup --agent claude-code --format ssh")
    demo.run('git commit -q --allow-empty -m "signed with an SSH certificate"')
    allowed = demo.root / "allowed"
    allowed.write_text(demo.run("notme-git trust export --format allowed-signers", show=False), "utf-8")
    demo.run(f"git -c gpg.ssh.program=ssh-keygen -c gpg.ssh.allowedSignersFile={allowed} verify-commit HEAD")


def _split(demo: Demo, rev: str) -> tuple[str, Path]:
    """The signature's armour and a file with the bytes it covers, taken apart without our own code."""
    raw = demo.run(f"git cat-file commit {rev}", show=False)
    head, _, message = raw.partition("\n\n")
    lines = head.split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith("gpgsig "))
    end = start + 1
    while end < len(lines) and lines[end].startswith(" "):
        end += 1
    armour = "\n".join([lines[start].removeprefix("gpgsig "), *(line[1:] for line in lines[start + 1 : end])])
    payload = demo.root / "payload"
    payload.write_text("\n".join(lines[:start] + lines[end:]) + "\n\n" + message, "utf-8", newline="\n")
    return armour, payload


def _dearmour(armour: str) -> bytes:
    return base64.b64decode("".join(line for line in armour.splitlines() if not line.startswith("-----")))


if __name__ == "__main__":
    main()
