"""The generator: its outputs are the checked-in ones, and what it does not know stops it."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.peers import ROOT

SCHEMAS = ROOT / "schema"
FIELD = re.compile(r"^  (\w+) @\d+ :", re.MULTILINE)
STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
GENERATED = (
    "attest/types.py",
    *(
        f"schema/gen/json/{name}.schema.json"
        for name in ("apas", "findings", "grant", "predicates", "rewrite", "trust", "upstream")
    ),
    *(
        f"schema/gen/typescript/{name}.ts"
        for name in ("apas", "findings", "grant", "predicates", "protocol", "rewrite", "trust", "upstream")
    ),
    "notme_git/authority/http/protocol.schema.json",
)


@pytest.fixture(scope="module")
def generator() -> Iterator[ModuleType]:
    """`schema` is a folder, not a package (PyPI has one of that name), so the script is found by its path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCHEMAS)
        yield importlib.import_module("generate")


def test_what_is_checked_in_is_what_the_generator_writes(generator: ModuleType, tmp_path: Path) -> None:
    assert generator.main(["--out", str(tmp_path)]) == 0
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == set(GENERATED)
    for name in GENERATED:
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes(), f"{name}: generate again"


def test_no_generated_file_is_left_from_a_schema_that_is_gone() -> None:
    found = {str(path.relative_to(ROOT)) for path in (SCHEMAS / "gen").rglob("*") if path.is_file()}
    assert found == {name for name in GENERATED if name.startswith("schema/")}


B = "struct B {\n  # B.\n\n  y @0 :Text;\n  # Y.\n  z @1 :UInt64;\n  # Z.\n}\n"
HEAD = "@0xd5808be6c3b0cc29;\n# A schema.\n\n"
GOOD = HEAD + "struct A {\n  # A struct.\n\n  x @0 :Text;\n  # A field.\n}\n"


def in_struct(lines: str) -> str:
    return HEAD + "struct A {\n  # A struct.\n\n" + lines + "}\n"


def field(declaration: str) -> str:
    return in_struct(f"  {declaration};\n  # A field.\n")


def run(generator: ModuleType, folder: Path, text: str) -> int:
    """Generate from one schema in `folder` and return the exit status."""
    schemas = folder / "schemas"
    schemas.mkdir()
    (schemas / "a.capnp").write_text(text, "utf-8")
    status: int = generator.main(["--schemas", str(schemas), "--out", str(folder / "out")])
    return status


def test_the_schema_that_the_bad_ones_are_made_of_is_a_good_one(generator: ModuleType, tmp_path: Path) -> None:
    assert run(generator, tmp_path, GOOD) == 0
    assert 'Pointer("x", Kind.TEXT)' in (tmp_path / "out/attest/types.py").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param(
            field("x @0 :Bool;\n  # One.\n  y @1 :Bool"),
            "A.y: a second boolean in one byte",
            id="a second boolean in one byte",
        ),
        pytest.param(field("x @0 :Int32"), "A.x: the type int32", id="a signed number"),
        pytest.param(field("x @0 :Float64"), "A.x: the type float64", id="a float"),
        pytest.param(field("x @0 :Void"), "A.x: the type void", id="a field without a value"),
        pytest.param(field("x @0 :AnyPointer"), "A.x: the type anyPointer", id="a pointer to anything"),
        pytest.param(field("x @0 :List(UInt8)"), "A.x: a list of uint8", id="a list of numbers"),
        pytest.param(field("x @0 :List(List(Text))"), "A.x: a list of text", id="a list of lists"),
        pytest.param(field("x @0 :UInt8 = 3"), "A.x: a default value", id="a default number"),
        pytest.param(field('x @0 :Text = "x"'), "A.x: a default value", id="a default text"),
        pytest.param(field("x @0 :A"), "A holds itself", id="a struct that holds itself"),
        pytest.param(field("x @0 :List(A)"), "A holds itself", id="a struct that lists itself"),
        pytest.param(field("from @0 :Text"), "A.from: a name that Python reserves", id="a reserved name"),
        pytest.param(in_struct("  x @0 :Text;\n"), "A.x: no comment", id="a field without a comment"),
        pytest.param(
            in_struct('  x @0 :Text;\n  # A "quote".\n'), "A.x: a comment with signs", id="a comment to escape"
        ),
        pytest.param(
            HEAD + "struct A {\n  x @0 :Text;\n  # A field.\n}\n", "A: no comment", id="a struct without a comment"
        ),
        pytest.param(
            "@0xd5808be6c3b0cc29;\n\n" + GOOD.removeprefix(HEAD), "the file: no comment", id="a file without a comment"
        ),
        pytest.param(HEAD + "# Nothing.\n", "a comment that stands under no", id="a comment on nothing"),
        pytest.param(
            in_struct("  union {\n    x @0 :Text;\n    # X.\n    y @1 :Text;\n    # Y.\n  }\n"),
            "A: a union",
            id="an unnamed union",
        ),
        pytest.param(
            in_struct("  u :union {\n    x @0 :Text;\n    # X.\n    y @1 :Text;\n    # Y.\n  }\n"),
            "A.u: a group",
            id="a named union",
        ),
        pytest.param(in_struct("  g :group {\n    x @0 :Text;\n    # X.\n  }\n"), "A.g: a group", id="a group"),
        pytest.param(
            in_struct("  x @0 :Text;\n  # X.\n  struct B {}\n"), "A: a nested declaration", id="a nested struct"
        ),
        pytest.param(
            in_struct("  x @0 :Text;\n  # X.\n").replace("struct A", "struct A(T)"),
            "A: type parameters",
            id="a generic struct",
        ),
        pytest.param(HEAD + "interface I {\n  # I.\n}\n", "I: a declaration of kind interface", id="an interface"),
        pytest.param(HEAD + "const c :UInt8 = 1;\n", "c: a declaration of kind constant", id="a constant"),
        pytest.param(HEAD + "annotation n (field) :Void;\n", "n: a declaration of kind", id="an annotation's own"),
        pytest.param(
            HEAD + "annotation n (field) :Void;\n" + field("x @0 :Text $n").removeprefix(HEAD),
            "a declaration of kind",
            id="a foreign annotation",
        ),
    ],
)
def test_the_generator_stops_at(
    generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    assert run(generator, tmp_path, text) == 1
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("declaration", "complaint"),
    [
        pytest.param("x @0 :Text $other", "A.x: an annotation other", id="another annotation on a field"),
        pytest.param("x @0 :Text $nullable", "A.x: nullable on no struct", id="nullable on a text"),
        pytest.param("x @0 :List(B) $nullable", "A.x: nullable on no struct", id="nullable on a list"),
        pytest.param("x @0 :Text $optional", "A.x: an annotation other", id="what only a plain file may say"),
    ],
)
def test_the_generator_knows_one_annotation_on_one_kind_of_field_of_what_is_stored(
    generator: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    declaration: str,
    complaint: str,
) -> None:
    annotations = (SCHEMAS / "annotations.capnp").read_text("utf-8")
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/annotations.capnp").write_text(annotations + "annotation other (field) :Void;\n", "utf-8")
    uses = "".join(f'using import "annotations.capnp".{name};\n' for name in ("nullable", "optional", "other"))
    (tmp_path / "schemas/a.capnp").write_text((field(declaration) + B).replace(HEAD, HEAD + uses), "utf-8")
    assert generator.main(["--schemas", str(tmp_path / "schemas"), "--out", str(tmp_path / "out")]) == 1
    assert complaint in capsys.readouterr().err


def plain(generator: ModuleType, folder: Path, declarations: str) -> int:
    """Generate from a plain schema with these fields in `A`, and return the exit status."""
    (folder / "schemas").mkdir()
    (folder / "schemas/annotations.capnp").write_bytes((SCHEMAS / "annotations.capnp").read_bytes())
    uses = "".join(f'using import "annotations.capnp".{name};\n' for name in PLAIN)
    text = (in_struct(declarations) + B).replace(HEAD, f"{HEAD}{uses}$plain;\n\n")
    (folder / "schemas/a.capnp").write_text(text, "utf-8")
    status: int = generator.main(["--schemas", str(folder / "schemas"), "--out", str(folder / "out")])
    return status


PLAIN = ("camel", "map", "nullable", "optional", "plain")


def test_a_plain_schema_says_what_json_holds(generator: ModuleType, tmp_path: Path) -> None:
    fields = {
        "someName @0 :Text $optional": ("some_name?", "z.string().optional()"),
        "otherName @1 :UInt64 $camel $nullable": ("otherName", PLAIN_UINT64 + ".nullable()"),
        "keys @2 :List(B) $map": ("keys", f"z.record(z.string(), {PLAIN_UINT64})"),
        "free @3 :AnyPointer": ("free", "z.record(z.string(), z.unknown())"),
        "signed @4 :Int32": ("signed", "z.number().int().min(-2147483648).max(2147483647)"),
        "first @5 :Bool": ("first", "z.boolean()"),
        "second @6 :Bool": ("second", "z.boolean()"),
    }
    assert plain(generator, tmp_path, "".join(f"  {each};\n  # Said.\n" for each in fields)) == 0
    assert "class A" not in (tmp_path / "out/attest/types.py").read_text("utf-8")
    zod = (tmp_path / "out/schema/gen/typescript/a.ts").read_text("utf-8").partition("const A = z\n")[2]
    assert re.findall(r"^    (\w+): (.+),$", zod, re.MULTILINE) == [
        (name.rstrip("?"), text) for name, text in fields.values()
    ]
    document = json.loads((tmp_path / "out/schema/gen/json/a.schema.json").read_text("utf-8"))["$defs"]["A"]
    assert document["required"] == [name for name, _ in fields.values() if not name.endswith("?")]
    most = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
    assert document["properties"]["keys"] == {
        "description": "Said.", "type": "object", "additionalProperties": most
    }  # fmt: skip
    assert document["properties"]["otherName"]["anyOf"] == [most, {"type": "null"}]


PLAIN_UINT64 = "z.number().int().min(0).max(9007199254740991)"


def test_a_map_is_made_of_structs(generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plain(generator, tmp_path, "  x @0 :List(Text) $map;\n  # Said.\n") == 1
    assert "A.x: map on no list of structs" in capsys.readouterr().err


def test_a_folder_without_a_schema_stops_the_generator(
    generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generator.main(["--schemas", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "there is no schema in" in capsys.readouterr().err


def test_what_is_no_schema_at_all_ends_the_process_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.capnp").write_text(GOOD + "strct B {}\n", "utf-8")
    command = [sys.executable, str(SCHEMAS / "generate.py")]
    command += ["--schemas", str(tmp_path), "--out", str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "Parse error" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_two_types_of_one_name_in_two_files_stop_the_generator(
    generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.capnp").write_text(GOOD, "utf-8")
    (tmp_path / "b.capnp").write_text(GOOD.replace("@0xd5808be6c3b0cc29", "@0xb5eec277061f7f9d"), "utf-8")
    assert generator.main(["--schemas", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "two types are called A" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["findings", "grant", "trust", "upstream"])
def test_every_field_has_its_row_in_the_readme(name: str) -> None:
    text = (SCHEMAS / f"{name}.capnp").read_text("utf-8")
    fields = [f"{struct}.{field}" for struct, body in STRUCT.findall(text) for field in FIELD.findall(body)]
    section = (SCHEMAS / "README.md").read_text("utf-8").partition(f"### {name}.capnp\n")[2].partition("###")[0]
    assert re.findall(r"^\| `(\w+\.\w+)` \|", section, re.MULTILINE) == fields


def references(value: Any) -> Iterator[str]:
    """Every `$ref` in a JSON Schema."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_in_the_json_schemas_leads_to_a_definition() -> None:
    folder = SCHEMAS / "gen/json"
    documents = {path.name: json.loads(path.read_text("utf-8")) for path in folder.iterdir()}
    found = [(name, ref) for name, document in documents.items() for ref in references(document)]
    assert found
    for name, reference in found:
        home, _, pointer = reference.partition("#/$defs/")
        assert pointer in documents[home or name]["$defs"]


def test_json_schema_says_what_a_grant_is() -> None:
    document = json.loads((SCHEMAS / "gen/json/grant.schema.json").read_text("utf-8"))
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    grant = document["$defs"]["Grant"]
    assert grant["additionalProperties"] is False
    assert grant["required"] == list(grant["properties"])
    properties = {name: {**value, "description": ""} for name, value in grant["properties"].items()}
    assert properties["delegationDepth"] == {
        "description": "", "type": "integer", "minimum": 0, "maximum": 255
    }  # fmt: skip
    assert properties["represented"]["anyOf"] == [{"$ref": "#/$defs/Principal"}, {"type": "null"}]
    seconds = re.compile(properties["createdAt"]["pattern"])
    assert seconds.search(str(2**64 - 1))
    assert not any(map(seconds.search, ("", "-1", "01", "1.0", "1" * 21)))
    assert document["$defs"]["Assurance"]["enum"] == [
        "same-user", "other-user", "sandboxed-broker", "remote-authority"
    ]  # fmt: skip


def test_the_typescript_imports_what_its_neighbours_export() -> None:
    texts = {path.stem: path.read_text("utf-8") for path in (SCHEMAS / "gen/typescript").iterdir()}
    exported = {name: re.findall(r"^export const (\w+)", text, re.MULTILINE) for name, text in texts.items()}
    imports = [
        (names, home)
        for text in texts.values()
        for names, home in re.findall(r'^import \{ (.+) \} from "\./(\w+)\.js";', text, re.MULTILINE)
    ]
    assert imports
    for names, home in imports:
        assert set(names.split(", ")) <= set(exported[home])


def test_the_typescript_of_a_grant_reads_as_zod() -> None:
    text = (SCHEMAS / "gen/typescript/grant.ts").read_text("utf-8")
    grant = text.partition("export const Grant = z\n")[2].partition(".strict();")[0]
    fields = dict(re.findall(r"^    (\w+): (.+),$", grant, re.MULTILINE))
    assert fields["version"] == "z.number().int().min(0).max(65535)"
    assert fields["createdAt"] == "z.bigint().min(0n).max(18446744073709551615n)"
    assert fields["represented"] == "Principal.nullable()"
    assert fields["scopes"] == "z.array(z.string())"
