"""The wheel and the editable install, each in an environment that holds the base dependencies and no others.

The environments are made without an index: the distributions they need are linked into them from the running
one, so that whatever `pyproject.toml` does not name is really not there.
"""

from __future__ import annotations

import email
import importlib.metadata
import itertools
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.peers import ROOT

SECONDS = 120  # building and installing take about three on one core
SCRIPTS = ("notme-git", "git-notme", "notme-attest")
SIGNING_SIDE = ("notme_git", "keyring", "capnp", "sigstore", "in_toto_attestation")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BASE: list[str] = PROJECT["project"]["dependencies"]
BACKEND: list[str] = PROJECT["build-system"]["requires"]

LOCK = ROOT / "requirements.lock"

IMPORT_THE_VERIFIER = """
import importlib, pkgutil, sys
for name in {blocked!r}:
    sys.modules[name] = None
import attest
for module in pkgutil.walk_packages(attest.__path__, "attest."):
    importlib.import_module(module.name)
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that the project is installed in."""

    folder: Path

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of the environment, away from the checkout, and return what it prints."""
        return run(self.folder / "bin" / program, *arguments, cwd=self.folder).stdout


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; what it prints is in the failure if it ends badly."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        pytest.fail(f"{command[0]} ended with {done.returncode}\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done


def closure(requirements: Iterable[str]) -> Iterator[importlib.metadata.Distribution]:
    """Yield the distributions that the requirements need here, extras left out, each once."""
    waiting, seen = [Requirement(text) for text in requirements], set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        distribution = importlib.metadata.distribution(name)
        yield distribution
        waiting += [Requirement(text) for text in distribution.requires or ()]


def link(distributions: Iterable[importlib.metadata.Distribution], site: Path) -> None:
    """Make what the distributions put into site-packages visible in another one."""
    for distribution in distributions:
        tops = {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}
        for top in tops:
            (site / top).symlink_to(str(distribution.locate_file(top)))


def make_environment(folder: Path, requirements: Iterable[str], *install: str | Path) -> Environment:
    """Make an environment that sees the requirements, and let pip install the project into it."""
    venv.create(folder, with_pip=False)
    environment = Environment(folder)
    site = environment.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    link(closure(requirements), Path(site))
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "--isolated")
    run(*pip, "install", "--no-index", "--no-deps", *install, cwd=folder)
    return environment


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built by the build backend of this environment."""
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def from_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel, its dependencies and PyPI's `schema`."""
    return make_environment(tmp_path_factory.mktemp("plain") / "venv", [*BASE, "schema"], wheel)


@pytest.fixture(scope="module")
def from_checkout(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What `make` does: the checkout installed in place, with the build backend at hand."""
    folder = tmp_path_factory.mktemp("editable") / "venv"
    return make_environment(folder, [*BASE, *BACKEND, "schema"], "--no-build-isolation", "--editable", ROOT)


@pytest.fixture(params=["from_wheel", "from_checkout"])
def environment(request: pytest.FixtureRequest) -> Environment:
    """Each kind of installation in turn."""
    chosen: Environment = request.getfixturevalue(request.param)
    return chosen


def contents(wheel: Path, prefix: str = "") -> dict[str, bytes]:
    """Return the files of a wheel whose names begin with `prefix`."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.startswith(prefix)}


def test_the_wheel_holds_the_two_packages_and_nothing_else_at_the_top(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in contents(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"attest", "notme_git"}


def test_the_wheel_carries_the_schema_under_attest_and_nothing_else_of_its_folder(wheel: Path) -> None:
    files = (ROOT / "schema").glob("*.capnp")
    wanted = {f"attest/_schema/{file.name}": file.read_bytes() for file in files}
    assert wanted
    assert contents(wheel, "attest/_schema/") == wanted


def test_the_wheel_asks_for_the_dependencies_of_the_verifier_only(wheel: Path) -> None:
    (text,) = [data for name, data in contents(wheel).items() if name.endswith(".dist-info/METADATA")]
    metadata = email.message_from_bytes(text)
    required = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    assert {each.name for each in required if each.marker is None} == {"click", "cryptography", "pygit2", "pynacl"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_command_prints_its_help_with_the_base_dependencies_alone(
    environment: Environment, script: str
) -> None:
    assert "Usage:" in environment.run(script, "--help")


def test_the_package_of_pypi_that_is_called_schema_keeps_its_name(environment: Environment) -> None:
    code = "import attest, schema; print(schema.Schema(int).validate(7))"
    assert environment.run("python", "-W", "error", "-c", code).strip() == "7"


def test_the_verifier_imports_whole_where_the_signing_side_cannot_be(environment: Environment) -> None:
    code = IMPORT_THE_VERIFIER.format(blocked=SIGNING_SIDE)
    assert "attest" in environment.run("python", "-W", "error", "-c", code).split()


def test_the_verifier_loads_nothing_of_the_signing_side_where_it_could() -> None:
    loaded = run(sys.executable, "-c", IMPORT_THE_VERIFIER.format(blocked=()), cwd=ROOT).stdout.split()
    assert "cryptography" in loaded
    assert not set(SIGNING_SIDE) & set(loaded)


def test_the_lock_names_no_address() -> None:
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if "://" in line or " @ " in line or line.startswith(("-", "/", "#"))]


def test_the_lock_pins_and_hashes_everything_that_is_asked_for() -> None:
    lines = LOCK.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    locked = {canonicalize_name(line.partition("==")[0]) for line in lines if " --hash=sha256:" in line}
    assert len(locked) == len(lines)
    asked = [*BASE, *BACKEND, *PROJECT["dependency-groups"]["dev"]]
    asked += itertools.chain(*PROJECT["project"]["optional-dependencies"].values())
    wanted = {canonicalize_name(Requirement(text).name) for text in asked}
    assert wanted <= locked | {PROJECT["project"]["name"]}


def test_the_scripts_of_ci_are_executable() -> None:
    assert all(os.access(ROOT / ".ci" / name, os.X_OK) for name in ("run", "peers"))
