"""SARIF: valid by the schema that OASIS published, and with what code scanning asks for beyond it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from attest.report import sarif
from tests.forge import NOW
from tests.offered import ALICE, WEB, Offered, offered
from tests.peers import SARIF_SCHEMA, peer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Offered:
    return offered(tmp_path_factory.mktemp("sarif"), NOW)


def read(found: Offered, head: str = "") -> dict[str, Any]:
    read: dict[str, Any] = json.loads(sarif.document(found.check(head=head), 1))
    return read


def verify(document: dict[str, Any]) -> None:
    """By the schema, formats included."""
    peer("sarif-schema")
    schema = json.loads(SARIF_SCHEMA.read_text("utf-8"))
    checker = jsonschema.validators.validator_for(schema)
    checker(schema, format_checker=jsonschema.FormatChecker()).validate(document)


def test_a_report_is_valid(made: Offered) -> None:
    verify(read(made))


def test_a_report_with_nothing_to_say_is_valid(made: Offered) -> None:
    document = read(made, made.agent)
    verify(document)
    assert document["runs"][0]["results"] == []


def test_the_schema_refuses_what_is_not_sarif(made: Offered) -> None:
    document = read(made)
    document["runs"][0]["results"][0]["level"] = "REJECTED"
    with pytest.raises(jsonschema.ValidationError):
        verify(document)


def test_each_result_names_its_rule_its_commit_and_a_file(made: Offered) -> None:
    [run] = read(made)["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert "signature-missing" in rules
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        [place] = result["locations"]
        assert len(place["logicalLocations"][0]["name"]) == 40
        assert place["physicalLocation"]["artifactLocation"]["uri"]
    [unsigned] = [r for r in run["results"] if r["locations"][0]["logicalLocations"][0]["name"] == made.unsigned]
    assert unsigned["level"] == "error"
    assert unsigned["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "src/b%2Cc%3Ad"
    assert run["versionControlProvenance"] == [{"repositoryUri": WEB, "revisionId": made.head}]


def test_every_rule_says_what_it_means_and_what_to_do(made: Offered) -> None:
    for rule in read(made)["runs"][0]["tool"]["driver"]["rules"]:
        assert rule["shortDescription"]["text"] in rule["help"]["text"]
        assert len(rule["help"]["text"]) > len(rule["shortDescription"]["text"])


def test_the_same_commit_has_the_same_fingerprints_in_every_run_and_others_have_others(made: Offered) -> None:
    def marks(head: str) -> dict[tuple[str, str], str]:
        results = read(made, head)["runs"][0]["results"]
        return {
            (r["ruleId"], r["locations"][0]["logicalLocations"][0]["name"]): json.dumps(r["partialFingerprints"])
            for r in results
        }

    less, all_of_them = marks(made.signed_off), marks(made.head)
    assert less.items() <= all_of_them.items()
    assert len(set(all_of_them.values())) == len(all_of_them)


def test_a_commit_without_files_has_an_address_of_its_own(made: Offered) -> None:
    empty = made.clone.commit({"README": "read me\n"}, made.base, who=ALICE, message="nothing", signed=False)
    document = read(made, empty)
    verify(document)
    [result] = document["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": f"git:{empty}"}
