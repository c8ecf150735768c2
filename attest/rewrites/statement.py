"""Rewrite records as in-toto Statements v1, and back: one spelling for each, so that what is read is what was meant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attest import statement
from attest.dsse import read_json
from attest.errors import MalformedError
from attest.rewrites.model import (
    MAX_OLD,
    Compared,
    Made,
    New,
    Old,
    Relation,
    Rewrite,
    Rewriter,
    RewriterKind,
    Signed,
)
from attest.through import Who
from attest.types import Outcome, PrincipalKind, Voucher

PREDICATE_TYPE = "https://notme.bot/provenance/rewrite/v0.1"
"""Proposed by this project, not part of APAS 0.3.0. Compared literally and never fetched."""

MAX_PARENTS = 64
"""Of a new commit: what has more was not made by a button."""

MAX_STATEMENTS = 16
"""Stored statements of one old commit that are named."""

_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PATCH_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_FORMATS = {"sha1": 40, "sha256": 64}
JsonObject = dict[str, Any]


def build(rewrite: Rewrite) -> bytes:
    """The Statement's bytes (compact ASCII JSON), to be signed as they are. Its subject is the new commit alone."""
    return statement.encode([{"digest": _commit(rewrite.new.object_id)}], PREDICATE_TYPE, _predicate(rewrite))


def read(payload: bytes) -> Rewrite:
    """Read what `build` writes, and nothing else. Raises `MalformedError`."""
    top = read_json(payload)
    if top.get("predicateType") != PREDICATE_TYPE:
        raise MalformedError(f"{top.get('predicateType')!r} is no rewrite record")
    try:
        made = _rewrite(top)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise MalformedError(f"no rewrite record: {type(error).__name__}: {error}") from None
    if build(made) != payload:
        raise MalformedError("the rewrite record is not in its one spelling")
    return made


def _predicate(rewrite: Rewrite) -> JsonObject:
    compared, new = rewrite.compared, rewrite.new
    return {
        "made": str(rewrite.made),
        "relation": str(compared.relation),
        "base": _commit(compared.base) if compared.base else None,
        "patchId": compared.patch_id or None,
        "patchSha256": compared.patch_sha256 or None,
        "note": compared.note or None,
        "new": {
            "objectFormat": new.object_format,
            "objectSha256": new.object_sha256,
            "tree": {"gitTree": new.tree},
            "parents": [_commit(parent) for parent in new.parents],
        },
        "old": [_old(item) for item in rewrite.old],
        "rewriter": {
            "kind": str(rewrite.rewriter.kind),
            "proven": rewrite.rewriter.proven,
            "id": rewrite.rewriter.id or None,
            "name": rewrite.rewriter.name,
        },
        "verification": {
            "verifier": {"id": rewrite.verifier},
            "recordedAt": rewrite.recorded_at,
            "policy": {"name": rewrite.policy, "digest": {"sha256": rewrite.policy_sha256}},
        },
    }


def _old(item: Old) -> JsonObject:
    time = item.time
    return {
        "digest": _commit(item.object_id),
        "objectSha256": item.object_sha256,
        "payloadSha256": item.payload_sha256,
        "outcome": str(item.outcome),
        "reason": item.reason or None,
        "actor": _who(item.actor),
        "representedPrincipal": _who(item.represented),
        "certificateSha256": item.certificate_sha256 or None,
        "time": {"notBefore": time.not_before, "notAfter": time.not_after, "voucher": str(time.voucher)}
        if time is not None
        else None,
        "statements": [{"sha256": digest} for digest in item.statements],
    }


def _who(who: Who | None) -> JsonObject | None:
    return None if who is None else who.data


def _commit(object_id: str) -> JsonObject:
    return {"gitCommit": object_id}


def _rewrite(top: Mapping[str, Any]) -> Rewrite:
    (subject,), said = top["subject"], top["predicate"]
    made, verified = said["new"], said["verification"]
    object_id = _like(subject["digest"]["gitCommit"], _ID)
    if len(object_id) != _FORMATS[made["objectFormat"]]:
        raise ValueError("the id is not of the object format")
    rewrite = Rewrite(
        made=Made(said["made"]),
        new=New(
            object_id,
            made["objectFormat"],
            _like(made["objectSha256"], _SHA256),
            _like(made["tree"]["gitTree"], _ID),
            tuple(_like(parent["gitCommit"], _ID) for parent in _list(made["parents"], 0, MAX_PARENTS)),
        ),
        old=tuple(_read_old(item) for item in _list(said["old"], 1, MAX_OLD)),
        compared=_read_compared(said),
        rewriter=_read_rewriter(said["rewriter"]),
        policy=_text(verified["policy"]["name"]),
        policy_sha256=_like(verified["policy"]["digest"]["sha256"], _SHA256),
        verifier=_text(verified["verifier"]["id"]),
        recorded_at=_like(verified["recordedAt"], _TIME),
    )
    if len({item.object_id for item in rewrite.old} | {object_id}) != len(rewrite.old) + 1:
        raise ValueError("a commit stands in it twice")
    return rewrite


def _read_compared(said: Mapping[str, Any]) -> Compared:
    made = Compared(
        Relation(said["relation"]),
        _like(said["base"]["gitCommit"], _ID) if said["base"] is not None else "",
        _or_empty(said["patchId"], _PATCH_ID),
        _or_empty(said["patchSha256"], _SHA256),
        "" if said["note"] is None else _text(said["note"]),
    )
    patched = made.relation is Relation.PATCH_ID
    if bool(made.patch_id) != patched or bool(made.patch_sha256) != patched:
        raise ValueError("a patch id belongs to relation patch-id, and to no other")
    if bool(made.note) != (made.relation is Relation.NONE):
        raise ValueError("a note belongs to relation none, and to no other")
    return made


def _read_old(item: Mapping[str, Any]) -> Old:
    time = item["time"]
    return Old(
        object_id=_like(item["digest"]["gitCommit"], _ID),
        object_sha256=_like(item["objectSha256"], _SHA256),
        payload_sha256=_like(item["payloadSha256"], _SHA256),
        outcome=Outcome(item["outcome"]),
        reason="" if item["reason"] is None else _text(item["reason"]),
        actor=_read_who(item["actor"]),
        represented=_read_who(item["representedPrincipal"]),
        certificate_sha256=_or_empty(item["certificateSha256"], _SHA256),
        time=None
        if time is None
        else Signed(_like(time["notBefore"], _TIME), _like(time["notAfter"], _TIME), Voucher(time["voucher"])),
        statements=tuple(_like(each["sha256"], _SHA256) for each in _list(item["statements"], 0, MAX_STATEMENTS)),
    )


def _read_who(value: Mapping[str, Any] | None) -> Who | None:
    if value is None:
        return None
    return Who(_text(value["id"]), PrincipalKind(value["kind"]), _text(value["name"]), _text(value["email"]))


def _read_rewriter(value: Mapping[str, Any]) -> Rewriter:
    if not isinstance(value["proven"], bool):
        raise TypeError("proven is neither true nor false")
    found = Rewriter(RewriterKind(value["kind"]), value["proven"], _text(value["name"]), _text(value["id"] or ""))
    if bool(found.id) != (found.kind is RewriterKind.SIGNER):
        raise ValueError("a signer has an id, and nobody else")
    return found


def _list(value: object, least: int, most: int) -> Sequence[Any]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise ValueError(f"not a list of {least} to {most}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _like(value: object, form: re.Pattern[str]) -> str:
    text = _text(value)
    if not form.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not as it should be")
    return text


def _or_empty(value: object, form: re.Pattern[str]) -> str:
    return "" if value is None else _like(value, form)
