"""The generator's output for the invented model is what is committed, and its refusals say what is missing."""

import json
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent / "modelgen"
ROOT = HERE.parents[2]
sys.path[:0] = [str(ROOT / "tools" / "modelgen"), str(ROOT / "tools" / "modelimport")]

import modelgen  # noqa: E402
import modelimport  # noqa: E402


def test_output_is_the_committed_one(tmp_path):
    subprocess.run([str(HERE / "update"), str(tmp_path)], check=True)
    expected = {path.name: path.read_text() for path in (HERE / "expected").iterdir()}
    actual = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert actual == expected, "run ./dev golden --update and review the difference"


def facts():
    return json.loads((HERE / "models" / "shelf.json").read_text())


def test_a_service_of_two_protocols_has_its_tables_twice(tmp_path):
    model = facts()
    model["service"] |= {"protocol": "json", "query_compatible": True, "query_xml_namespace": "urn:shelf"}
    model["shapes"] = {
        "Names": {"type": "list", "flattened": True, "member": {"shape": "Name", "query_name": "Name"}},
        "Name": {"type": "string"},
        "Notes": {
            "type": "map", "flattened": True,
            "key": {"shape": "Name", "query_name": "Key"}, "value": {"shape": "Name", "query_name": "Value"}},
        "Input": {
            "type": "structure",
            "members": {"Names": {"shape": "Names"}, "Notes": {"shape": "Notes", "query_name": "Note"}}},
        "ShelfGone": {"type": "structure", "exception": True, "members": {}, "query_error": "Shelf.Gone"},
        "Missing": {"type": "structure", "exception": True, "members": {}, "common": True, "query_message": "No."},
    }
    model["operations"] = {"Ping": {"method": "POST", "uri": "/", "status": 200, "input": "Input"}}
    row = {"Ping": {"action": "shelf:Ping", "resource": "*", "condition_keys": []}}
    modelgen.generate(model, {}, row, ["Ping"], tmp_path)
    text = (tmp_path / "model.gen.cc").read_text()
    json_table, query_table = text.split("struct QueryShapes")
    assert '.name = "Notes", .wire_name = "Notes", .shape = &Shapes::kNotes' in json_table
    assert '.name = "Notes", .wire_name = "Note", .shape = &QueryShapes::kNotes' in query_table
    assert '.name = "Names", .wire_name = "Name", .shape = &QueryShapes::kNames' in query_table
    assert '.key_name = "Key", .value_name = "Value"' in query_table
    assert '"com.amazonaws.shelf#ShelfGone", "Shelf.Gone"}' in text
    assert '"com.amazon.coral.service#Missing", "Missing", "No."}' in text
    assert ".protocol = am::Protocol::kQuery" in query_table
    assert ".query_form = &kQueryService" in query_table


def test_an_operation_without_an_authorization_row_is_refused(tmp_path):
    with pytest.raises(modelgen.ModelError, match="no row for the operation Ping"):
        modelgen.generate(facts(), {}, {}, ["Ping"], tmp_path)


def test_an_unknown_operation_is_refused(tmp_path):
    with pytest.raises(modelgen.ModelError, match="no operation Pong"):
        modelgen.generate(facts(), {}, {}, ["Pong"], tmp_path)


@pytest.mark.parametrize("wire, member", [
    ("FunctionName", "function_name"), ("KMSKeyArn", "kms_key_arn"), ("VpcId", "vpc_id"), ("S3Bucket", "s3_bucket"),
    ("CodeSha256", "code_sha256"), ("logGroupName", "log_group_name"), ("default", "default_"),
    ("SourceKMSKeyArn", "source_kms_key_arn"), ("UUID", "uuid")])
def test_member_names(wire, member):
    assert modelgen.snake_case(wire) == member


def test_importer_refuses_to_replace_newer_facts(tmp_path):
    newer, older = facts(), facts()
    newer["source"]["botocore"] = "1.43.11"
    older["source"]["botocore"] = "1.43.9"
    path = tmp_path / "shelf.json"
    modelimport.write_model(newer, path)
    before = path.read_text()
    with pytest.raises(SystemExit, match="newer than the installed"):
        modelimport.write_model(older, path)
    assert path.read_text() == before
    modelimport.write_model(newer, path)


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*.json")), ids=lambda path: path.stem)
def test_every_operation_of_a_model_has_an_authorization_row(path):
    operations = json.loads(path.read_text())["operations"]
    rows = json.loads((ROOT / "models" / "authorization" / path.name).read_text())["operations"]
    assert sorted(rows) == sorted(operations)
    for row in rows.values():
        assert row["action"].split(":")[1] and row["resource"]


def test_a_member_flattens_a_list_that_is_not_flat_by_itself(tmp_path):
    model = json.loads(json.dumps(facts()))
    structure, member = next(
        (name, member) for name, shape in sorted(model["shapes"].items()) if shape["type"] == "structure"
        for member in shape["members"].values()
        if model["shapes"][member["shape"]]["type"] == "list" and not model["shapes"][member["shape"]].get("flattened"))
    held = member["shape"]
    member["flattened"] = True
    modelgen.Model(model, [], {})
    assert member["shape"] == f"Flattened{held}", structure
    assert model["shapes"][member["shape"]]["flattened"]
    assert "flattened" not in model["shapes"][held]
