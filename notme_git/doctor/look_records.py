"""What hooks here go by: their settings, the key that signs records of rewrites, and the attestations themselves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attest import signing_key, store
from attest.errors import Error, UnavailableError, UsageError
from attest.receive import install, settings
from attest.repository import Repository, open_repository
from attest.rules import source
from notme_git.authority import embedded
from notme_git.doctor.facts import Records


def look(home: Path, environ: Mapping[str, str], directory: Path) -> Records:
    """Nobody is asked; outside of a repository there is nothing to see."""
    try:
        with open_repository(directory, environ) as repo:
            problem, remedy = _settings(repo)
            keyless = not problem and not embedded.exists(home) and settings.read(repo).verifier_key is None
            return Records(problem, remedy, keyless and _hooked(repo), _wanted(repo) and not store.exists(repo))
    except Error:
        return Records()


def _settings(repo: Repository) -> tuple[str, str]:
    """What is wrong with them, and what to do; empty where nothing is."""
    try:
        said = settings.read(repo)
    except (UsageError, UnavailableError) as error:
        return error.message, error.hint or "mend it with git config"
    try:
        name = "notme.verifierKey"
        if said.verifier_key is not None:
            signing_key.load(said.verifier_key)
        name = "notme.attesterKey"
        for path in said.attester_keys:
            signing_key.load_public(path)
    except UnavailableError as error:
        return f"{name}: {error.message}", error.hint or "name another with git config"
    return "", ""


def _hooked(repo: Repository) -> bool:
    """Whether ours runs after an amend or a rebase."""
    return install.is_ours(install.folder(repo, shared=True), install.REWRITE)


def _wanted(repo: Repository) -> bool:
    """Whether the policy of what is checked out follows records, and there is a place to get them from."""
    if repo.remote() is None:
        return False
    policy = source.policy_at(repo, repo.resolve("HEAD^{commit}"))
    return policy is not None and policy.follows
