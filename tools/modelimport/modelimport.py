#!/usr/bin/env python3
"""Writes models/<service>.json: the facts of an AWS interface, from the botocore data installed for this interpreter.

Facts are names, shapes, constraints, bindings and errors; prose is dropped. The file names the botocore version it came
from, and a file is never replaced by one from an older version. Nothing of the build or the tests runs this.

A service that left the query protocol for JSON (SQS) is still called in both ways. What the newest data no longer says, the
names and codes of the query protocol, is merged in from an older botocore (--query-data, Debian's by default): `query_name`
of members, list elements, keys and values, `query_error` of exceptions, `result_wrapper` of operations.

    python3 tools/modelimport/modelimport.py lambda sts iam logs
"""

import argparse
import gzip
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

SHAPE_KEYS = (
    "type", "required", "payload", "min", "max", "pattern", "enum", "sensitive", "streaming", "flattened",
    "timestampFormat", "locationName", "xmlNamespace", "exception", "fault", "error", "union", "eventstream", "event")
MEMBER_KEYS = (
    "shape", "location", "locationName", "queryName", "idempotencyToken", "flattened", "xmlAttribute", "xmlNamespace",
    "timestampFormat", "streaming", "eventpayload", "eventheader", "jsonvalue", "deprecated")


def keep(source, keys):
    return {key: source[key] for key in keys if key in source}


def import_shape(shape):
    facts = keep(shape, SHAPE_KEYS)
    for part in ("member", "key", "value"):
        if part in shape:
            facts[part] = keep(shape[part], MEMBER_KEYS)
    if "members" in shape:
        facts["members"] = {name: keep(member, MEMBER_KEYS) for name, member in shape["members"].items()}
    return facts


def import_operation(operation):
    facts = {
        "method": operation["http"]["method"],
        "uri": operation["http"]["requestUri"],
        "status": operation["http"].get("responseCode", 200),
    }
    for side in ("input", "output"):
        if side in operation:
            facts[side] = operation[side]["shape"]
    if "resultWrapper" in operation.get("output", {}):
        facts["result_wrapper"] = operation["output"]["resultWrapper"]
    if operation.get("httpChecksum", {}).get("requestChecksumRequired"):
        facts["checksum_required"] = True
    if operation.get("errors"):
        facts["errors"] = [error["shape"] for error in operation["errors"]]
    return facts


def read_model(folder):
    packed = folder / "service-2.json.gz"
    if packed.exists():
        return json.loads(gzip.decompress(packed.read_bytes()))
    return json.loads((folder / "service-2.json").read_text())


def import_service(name, data_path, version):
    folders = sorted(path for path in (data_path / name).iterdir() if path.is_dir())
    if not folders:
        raise SystemExit(f"modelimport: no service {name} in {data_path}")
    folder = folders[-1]
    model = read_model(folder)
    metadata = model["metadata"]
    service = {
        "name": name,
        "signing_name": metadata.get("signingName", metadata["endpointPrefix"]),
        "service_id": metadata["serviceId"],
        "protocol": metadata["protocol"],
        "api_version": metadata["apiVersion"],
    }
    for ours, theirs in (("target_prefix", "targetPrefix"), ("json_version", "jsonVersion"),
                         ("xml_namespace", "xmlNamespace")):
        if theirs in metadata:
            service[ours] = metadata[theirs]
    if "awsQueryCompatible" in metadata:
        service["query_compatible"] = True
    return {
        "source": {"botocore": version, "file": f"{name}/{folder.name}/service-2.json"},
        "service": service,
        "operations": {key: import_operation(model["operations"][key]) for key in sorted(model["operations"])},
        "shapes": {key: import_shape(model["shapes"][key]) for key in sorted(model["shapes"])},
    }


def merge_query_names(facts, folder, version):
    """Adds to `facts` what the query protocol calls things, from an older model of the same service."""
    old = read_model(folder)
    facts["source"]["query"] = {"botocore": version, "file": f"{facts['service']['name']}/{folder.name}/service-2.json"}
    facts["service"]["query_xml_namespace"] = old["metadata"]["xmlNamespace"]
    for name, operation in facts["operations"].items():
        if "output" in operation:
            before = old["operations"].get(name, {}).get("output", {})
            operation["result_wrapper"] = before.get("resultWrapper", f"{name}Result")
    for name, shape in facts["shapes"].items():
        before = old["shapes"].get(name, {})
        parts = [(shape.get(part), before.get(part)) for part in ("member", "key", "value")]
        parts += [(member, before.get("members", {}).get(key)) for key, member in shape.get("members", {}).items()]
        for member, member_before in parts:
            if member and member_before and "locationName" in member_before:
                member["query_name"] = member_before["locationName"]
        if "locationName" in before:
            shape["query_name"] = before["locationName"]
        if "error" in before:
            shape["query_error"] = before["error"]["code"]


def render(facts):
    """One operation or shape a line, so that a newer model shows as a readable difference."""
    lines = ["{", f' "source": {json.dumps(facts["source"])},', f' "service": {json.dumps(facts["service"])},']
    for section in ("operations", "shapes"):
        lines.append(f' "{section}": {{')
        rows = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in facts[section].items()]
        lines.append(",\n".join(rows))
        lines.append(" }," if section == "operations" else " }")
    lines.append("}")
    return "\n".join(lines) + "\n"


def version_tuple(text):
    return tuple(int(part) for part in text.split("."))


def write_model(facts, path):
    """Refuses to replace newer facts by older ones."""
    if path.exists():
        present = json.loads(path.read_text())["source"]["botocore"]
        if version_tuple(facts["source"]["botocore"]) < version_tuple(present):
            raise SystemExit(
                f"modelimport: {path.name} comes from botocore {present}, newer than the installed "
                f"{facts['source']['botocore']}; nothing written")
    path.write_text(render(facts))


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("services", nargs="+", metavar="SERVICE")
    parser.add_argument("--models", type=pathlib.Path, default=ROOT / "models")
    parser.add_argument("--query-data", type=pathlib.Path, default=pathlib.Path("/usr/lib/python3/dist-packages/botocore"),
                        metavar="BOTOCORE", help="a botocore whose services still speak the query protocol")
    options = parser.parse_args(arguments)
    import botocore  # Only here: the tests of this file run without it.
    data_path = pathlib.Path(botocore.__file__).parent / "data"
    for name in options.services:
        facts = import_service(name, data_path, botocore.__version__)
        if facts["service"].get("query_compatible"):
            text = (options.query_data / "__init__.py").read_text()
            version = re.search(r"__version__ = '([0-9.]+)'", text).group(1)
            merge_query_names(facts, sorted((options.query_data / "data" / name).iterdir())[-1], version)
        write_model(facts, options.models / f"{name}.json")
        print(f"models/{name}.json: {len(facts['operations'])} operations, {len(facts['shapes'])} shapes, "
              f"botocore {botocore.__version__}")


if __name__ == "__main__":
    main(sys.argv[1:])
