from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import certificate, fulcio, verify
from attest.errors import MalformedError, Step, VerificationError
from attest.profile import Profile
from attest.report import data
from tests.forge import NOW, Forge, commit_payload

FORGES = {p: Forge(p, seed=f"fulcio {p}") for p in (Profile.NOTME, Profile.INTEROP)}
GITHUB = {
    "iss": "https://token.actions.githubusercontent.com",
    "aud": "notme",
    "sub": "repo:octo/app:ref:refs/heads/main",
    "job_workflow_ref": "octo/shared/.github/workflows/build.yml@refs/tags/v1",
    "job_workflow_sha": "a" * 40,
    "runner_environment": "github-hosted",
    "repository": "octo/app",
    "repository_id": "1296269",
    "repository_owner": "octo",
    "repository_owner_id": "583231",
    "sha": "b" * 40,
    "ref": "refs/heads/main",
    "workflow_ref": "octo/app/.github/workflows/ci.yml@refs/heads/main",
    "workflow_sha": "b" * 40,
    "event_name": "push",
    "run_id": "30433642",
    "run_attempt": "2",
    "repository_visibility": "public",
}
GITHUB_FACTS = {
    "issuer": "https://token.actions.githubusercontent.com",
    "buildSignerURI": "https://github.com/octo/shared/.github/workflows/build.yml@refs/tags/v1",
    "buildSignerDigest": "a" * 40,
    "runnerEnvironment": "github-hosted",
    "sourceRepositoryURI": "https://github.com/octo/app",
    "sourceRepositoryDigest": "b" * 40,
    "sourceRepositoryRef": "refs/heads/main",
    "sourceRepositoryIdentifier": "1296269",
    "sourceRepositoryOwnerURI": "https://github.com/octo",
    "sourceRepositoryOwnerIdentifier": "583231",
    "buildConfigURI": "https://github.com/octo/app/.github/workflows/ci.yml@refs/heads/main",
    "buildConfigDigest": "b" * 40,
    "buildTrigger": "push",
    "runInvocationURI": "https://github.com/octo/app/actions/runs/30433642/attempts/2",
    "sourceRepositoryVisibilityAtSigning": "public",
}
GITLAB = {
    "iss": "https://gitlab.example",
    "ci_config_ref_uri": "gitlab.example/group/app//.gitlab-ci.yml@refs/heads/main",
    "ci_config_sha": "c" * 40,
    "runner_environment": "self-hosted",
    "project_path": "group/app",
    "project_id": "22",
    "namespace_path": "group",
    "namespace_id": "72",
    "sha": "c" * 40,
    "ref": "main",
    "ref_type": "branch",
    "pipeline_source": "merge_request_event",
    "job_id": "302",
    "project_visibility": "private",
}


def test_the_facts_of_a_github_job_are_those_that_fulcio_certifies() -> None:
    assert fulcio.named(fulcio.of_github(GITHUB)) == GITHUB_FACTS


def test_the_facts_of_a_gitlab_job_have_the_address_of_its_instance() -> None:
    config = "https://gitlab.example/group/app//.gitlab-ci.yml@refs/heads/main"
    assert fulcio.named(fulcio.of_gitlab(GITLAB)) == {
        "issuer": "https://gitlab.example",
        "buildSignerURI": config,
        "buildSignerDigest": "c" * 40,
        "runnerEnvironment": "self-hosted",
        "sourceRepositoryURI": "https://gitlab.example/group/app",
        "sourceRepositoryDigest": "c" * 40,
        "sourceRepositoryRef": "refs/heads/main",
        "sourceRepositoryIdentifier": "22",
        "sourceRepositoryOwnerURI": "https://gitlab.example/group",
        "sourceRepositoryOwnerIdentifier": "72",
        "buildConfigURI": config,
        "buildConfigDigest": "c" * 40,
        "buildTrigger": "merge_request_event",
        "runInvocationURI": "https://gitlab.example/group/app/-/jobs/302",
        "sourceRepositoryVisibilityAtSigning": "private",
    }


@pytest.mark.parametrize(
    ("facts", "left"),
    [
        (fulcio.of_github({}), []),
        (fulcio.of_github({"repository": "octo/app", "run_id": "1"}), ["sourceRepositoryURI"]),
        (fulcio.of_gitlab({"ref": "main", "ref_type": "merge_request"}), []),
        (fulcio.of_gitlab({"ref": "v1", "ref_type": "tag"}), ["sourceRepositoryRef"]),
    ],
    ids=["an empty token", "a run without its attempt", "a ref of another type", "a tag"],
)
def test_what_a_token_does_not_say_is_left_out(facts: fulcio.Ci, left: list[str]) -> None:
    assert list(fulcio.named(facts)) == left


def test_repositories_may_be_on_another_server() -> None:
    facts = fulcio.named(fulcio.of_github(GITHUB, server="https://git.example/"))
    assert facts["sourceRepositoryURI"] == "https://git.example/octo/app"


@pytest.mark.parametrize("forge", FORGES.values(), ids=FORGES)
def test_a_certificate_says_them_in_both_of_our_profiles(forge: Forge) -> None:
    ci = fulcio.of_github(GITHUB)
    issued = forge.issue(replace(forge.spec(), ci=ci)).certificate
    assert certificate.verify_chain(issued, (), forge.trusted.anchors).leaf.ci == ci
    for arc, value in ci:
        extension = issued.extensions.get_extension_for_oid(x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{arc}"))
        assert isinstance(extension.value, x509.UnrecognizedExtension)
        assert not extension.critical
        size = bytes([len(value)]) if len(value) < 0x80 else bytes([0x81, len(value)])
        assert extension.value.value == b"\x0c" + size + value.encode()


@pytest.mark.parametrize("forge", FORGES.values(), ids=FORGES)
def test_an_examination_reports_them_by_name(forge: Forge) -> None:
    leaf = forge.issue(replace(forge.spec(), ci=fulcio.of_github(GITHUB)))
    payload = commit_payload()
    found = verify.examine_signature(forge.armour(leaf, payload), payload, forge.trusted, at=NOW, git=True)
    assert data.findings_data(found.record())["identity"]["ci"] == GITHUB_FACTS


@pytest.mark.parametrize(
    "value",
    [b"push", b"\x0c\x00", b"\x16\x04push", b"\x0c\x04push\0", b"\x0c\x02\xff\xff", b"\x0c\x01\x1b", b"\x0c\x01\n"],
    ids=["no DER", "empty", "IA5String", "a byte after it", "no UTF-8", "an escape", "a line end"],
)
def test_a_value_that_is_no_printable_text_is_malformed(value: bytes) -> None:
    with pytest.raises(MalformedError):
        fulcio.read({fulcio.OIDS[20]: value})

    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        return builder.add_extension(x509.UnrecognizedExtension(fulcio.OIDS[20], value), critical=False)

    forge = FORGES[Profile.NOTME]
    with pytest.raises(VerificationError) as caught:
        certificate.verify_chain(forge.issue(forge.spec(), edit=edit).certificate, (), forge.trusted.anchors)
    assert caught.value.step is Step.CHAIN


def test_what_could_not_be_read_back_is_not_written() -> None:
    for ci in (((7, "x"),), ((20, ""),), ((20, "a\nb"),), ((20, "x" * 1025),), ((20, "a"), (8, "b")), ((8, "a"),) * 2):
        with pytest.raises(MalformedError):
            fulcio.extensions(ci)


@settings(derandomize=True, max_examples=100)
@given(st.dictionaries(st.sampled_from(sorted(fulcio.NAMES)), st.binary(max_size=40)))
def test_any_bytes_are_an_error_or_facts_that_encode_back(found: dict[int, bytes]) -> None:
    given_values = {fulcio.OIDS[arc]: value for arc, value in found.items()}
    try:
        ci = fulcio.read(given_values)
    except MalformedError:
        return
    assert {e.oid: e.value for e in fulcio.extensions(ci)} == given_values
