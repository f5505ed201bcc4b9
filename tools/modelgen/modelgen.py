#!/usr/bin/env python3
"""Generates C++ types and descriptor tables from models/<service>.json.

    modelgen.py --model models/lambda.json --patch models/patches/lambda.json \
        --authorization models/authorization/lambda.json --out build/fast/gen/lambda OPERATION...

Only shapes that the listed operations reach are generated; all other operations stay in the tables by name, so that a
call of one is recognised and answered as not implemented. What the generated types look like is told in
src/aws/model/descriptor.h.
"""

import argparse
import json
import pathlib
import re
import sys

KEYWORDS = {
    "default", "delete", "namespace", "operator", "private", "public", "protected", "template", "this",
    "typename", "union", "virtual", "class", "struct", "enum", "export", "import", "register", "return",
    "static", "switch", "new", "and", "or", "not", "auto", "bool", "break", "case", "char", "const",
    "continue", "do", "double", "else", "explicit", "extern", "false", "float", "for", "friend", "goto", "if",
    "inline", "int", "long", "mutable", "short", "signed", "sizeof", "throw", "true", "try", "typedef",
    "unsigned", "using", "void", "volatile", "while", "requires", "concept"}

SCALARS = {
    "string": "std::string", "character": "std::string", "blob": "std::string", "integer": "int32_t", "long": "int64_t",
    "boolean": "bool", "float": "double", "double": "double", "timestamp": "WallClock::time_point"}

SHAPE_TYPES = {
    "string": "kString", "character": "kString", "blob": "kBlob", "integer": "kInteger", "long": "kLong",
    "boolean": "kBoolean", "float": "kFloat", "double": "kDouble", "timestamp": "kTimestamp", "list": "kList",
    "map": "kMap", "structure": "kStructure"}

LOCATIONS = {
    "uri": "kUri", "querystring": "kQueryString", "header": "kHeader", "headers": "kHeaders",
    "statusCode": "kStatusCode"}

TIMESTAMP_FORMATS = {"iso8601": "kIso8601", "rfc822": "kRfc822", "unixTimestamp": "kUnixSeconds"}

PROTOCOLS = {"rest-json": "kRestJson", "rest-xml": "kRestXml", "query": "kQuery"}

# RE2 knows no look-around; models/patches says the same in another way where that matters.
RE2_CANNOT = re.compile(r"\(\?[=!<]|\\[1-9]")


class ModelError(Exception):
    """The model or its patch asks for something that the generator does not know."""


def snake_case(name):
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    name = name.replace("-", "_").lower()
    return name + "_" if name in KEYWORDS else name


def quoted(text):
    """A C++ string literal of the UTF-8 bytes of `text`."""
    out = []
    for byte in text.encode():
        character = chr(byte)
        if character in '"\\':
            out.append("\\" + character)
        elif 32 <= byte < 127:
            # A '?' could start a trigraph; two in a row are split.
            out.append(character)
        else:
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def re2_dialect(pattern):
    """`pattern` of the model as RE2 takes it, or an empty text when it cannot be said."""
    if RE2_CANNOT.search(pattern):
        return ""
    # Java's four-digit escape; five digits appear where the model means a character beyond the first plane.
    return re.sub(r"\\u(10FFFF|10000|[0-9A-Fa-f]{4})", r"\\x{\1}", pattern)


def merge(base, patch):
    for key, value in patch.items():
        if value is None:
            base.pop(key, None)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value
    return base


class Model:
    def __init__(self, facts, operations, authorization):
        self.facts = facts
        self.service = facts["service"]
        self.shapes = facts["shapes"]
        self.authorization = authorization
        unknown = sorted(set(operations) - set(facts["operations"]))
        if unknown:
            raise ModelError(f"{self.service['name']}: the model has no operation {', '.join(unknown)}")
        self.operations = sorted(set(operations))
        self._flatten_members()
        self.reachable = []
        self.recursive_members = set()
        for name in self.operations:
            operation = facts["operations"][name]
            for side in ("input", "output"):
                if side in operation:
                    self._reach(operation[side])
        self._find_recursion()
        self.structures = [name for name in self.reachable if self.shapes[name]["type"] == "structure"]

    def _flatten_members(self):
        """A member may flatten a list that is not so by itself: it gets a shape of its own, of the same C++ type."""
        flattened = {}
        for shape in self.shapes.values():
            for member in shape.get("members", {}).values():
                held = self.shapes[member["shape"]]
                if member.get("flattened") and held["type"] == "list" and not held.get("flattened"):
                    name = f"Flattened{member['shape']}"
                    flattened[name] = {**held, "flattened": True}
                    member["shape"] = name
        clashes = flattened.keys() & self.shapes.keys()
        if clashes:
            raise ModelError(f"{', '.join(sorted(clashes))}: the model has shapes of that name")
        self.shapes.update(flattened)

    def references(self, name):
        shape = self.shapes[name]
        names = [member["shape"] for member in shape.get("members", {}).values()]
        return names + [shape[part]["shape"] for part in ("member", "key", "value") if part in shape]

    def _reach(self, name):
        """Appends what `name` holds before `name`, except where shapes recur."""
        pending = [(name, False)]
        entered = set(self.reachable)
        while pending:
            current, leaving = pending.pop()
            if leaving:
                self.reachable.append(current)
                continue
            if current in entered:
                continue
            entered.add(current)
            if self.shapes[current].get("eventstream"):
                self._check_event_stream(current)
            pending.append((current, True))
            pending.extend((held, False) for held in reversed(self.references(current)))

    def _check_event_stream(self, name):
        """Only what aws/protocol/event_stream can write: an output whose payload it is, in rest-json."""
        payloads = set()
        for operation in self.operations:
            output = self.shapes.get(self.facts["operations"][operation].get("output"), {})
            if "payload" in output:
                payloads.add(output["members"][output["payload"]]["shape"])
        if name not in payloads or self.service["protocol"] != "rest-json":
            raise ModelError(f"{name}: an event stream that is not the payload of a rest-json output is not supported")
        for member in self.shapes[name]["members"].values():
            for field, facts in self.shapes[member["shape"]].get("members", {}).items():
                if facts.get("eventheader"):
                    raise ModelError(f"{member['shape']}.{field}: headers of events are not supported")

    def _find_recursion(self):
        """Members by which a structure holds itself without a list or map between: these become pointers."""
        def holds(start, wanted, seen):
            for member in self.shapes[start].get("members", {}).values():
                target = member["shape"]
                if self.shapes[target]["type"] != "structure" or target in seen:
                    continue
                seen.add(target)
                if target == wanted or holds(target, wanted, seen):
                    return True
            return False

        for name in self.reachable:
            for member_name, member in self.shapes[name].get("members", {}).items():
                target = member["shape"]
                if self.shapes[target]["type"] == "structure" and (
                        target == name or holds(target, name, {target})):
                    self.recursive_members.add((name, member_name))

    def cpp_type(self, name):
        shape = self.shapes[name]
        kind = shape["type"]
        if kind in SCALARS:
            return SCALARS[kind]
        if kind == "list":
            element = self.cpp_type(shape["member"]["shape"])
            if element == "bool":
                raise ModelError(f"{name}: a list of booleans has no addressable elements")
            return f"std::vector<{element}>"
        if kind == "map":
            return f"std::map<std::string, {self.cpp_type(shape['value']['shape'])}>"
        return name

    def input_type(self, operation):
        return self.facts["operations"][operation].get("input", f"{operation}Input")

    def output_type(self, operation):
        return self.facts["operations"][operation].get("output", f"{operation}Output")

    def empty_types(self):
        """Inputs and outputs that the model does not have."""
        names = []
        for name in self.operations:
            operation = self.facts["operations"][name]
            if "input" not in operation:
                names.append(f"{name}Input")
            if "output" not in operation:
                names.append(f"{name}Output")
        return names

    def check_names(self):
        types = set(self.structures) | set(self.empty_types())
        clashes = types & set(self.operations)
        if clashes:
            raise ModelError(f"both an operation and a structure: {', '.join(sorted(clashes))}")
        for name in self.operations:
            if name not in self.authorization:
                raise ModelError(
                    f"models/authorization/{self.service['name']}.json has no row for the operation {name}: "
                    f"say which action and resource it needs")


class Writer:
    # A service that takes two protocols has its tables twice: "" as its protocol names things, "Query" as the older one.
    def __init__(self, model, namespace):
        self.form = ""
        self.model = model
        self.namespace = namespace
        facts = model.facts
        self.head = (f"// Generated from models/{model.service['name']}.json ({facts['source']['file']}, botocore "
                     f"{facts['source']['botocore']}) by tools/modelgen. Do not edit.\n")

    def wrap(self, body, includes, header=True):
        lines = [self.head]
        if header:
            lines.append("#pragma once\n\n")
        for group in includes:
            lines.extend(f"#include {name}\n" for name in group)
            lines.append("\n")
        lines.append(f"namespace {self.namespace} {{\n\n")
        lines.append(body)
        lines.append(f"\n}}  // namespace {self.namespace}\n")
        return "".join(lines)

    def types_fwd(self):
        names = sorted(self.model.structures + self.model.empty_types())
        return self.wrap("".join(f"struct {name};\n" for name in names), [])

    def types(self):
        parts = []
        for name in self.model.structures:
            shape = self.model.shapes[name]
            lines = [f"struct {name} {{"]
            for member_name, member in shape.get("members", {}).items():
                kind = self.model.cpp_type(member["shape"])
                holder = "std::shared_ptr" if (name, member_name) in self.model.recursive_members else "std::optional"
                lines.append(f"    {holder}<{kind}> {snake_case(member_name)};")
            if shape.get("members"):
                lines.append("")
            lines.append(f"    bool operator==(const {name}&) const = default;")
            lines.append("};\n")
            parts.append("\n".join(lines))
        for name in self.model.empty_types():
            parts.append(f"struct {name} {{\n    bool operator==(const {name}&) const = default;\n}};\n")
        folder = self.model.service["name"]
        return self.wrap("\n".join(parts), [
            [f'"base/clock.h"', f'"gen/{folder}/types_fwd.gen.h"'],
            ["<cstdint>", "<map>", "<memory>", "<optional>", "<string>", "<vector>"]])

    def operations(self):
        parts = ["// The whole interface; lives for ever.\nconst aws::model::Service& Service();\n"]
        for name in self.model.operations:
            parts.append(
                f"struct {name} {{\n"
                f"    using Input = {self.model.input_type(name)};\n"
                f"    using Output = {self.model.output_type(name)};\n"
                f"    static const aws::model::Operation& Descriptor();\n"
                f"}};\n")
        folder = self.model.service["name"]
        return self.wrap("\n".join(parts), [['"aws/model/descriptor.h"', f'"gen/{folder}/types.gen.h"']])

    # model.gen.cc

    def field_ops(self, owner, member_name, member):
        kind = self.model.cpp_type(member["shape"])
        template = "kSharedOps" if (owner, member_name) in self.model.recursive_members else "kOptionalOps"
        return f"&am::{template}<{kind}>"

    def member_row(self, owner, member_name, member):
        shape = self.model.shapes[owner]
        location = member.get("location")
        # A structure may name its elements itself ("SSE-S3").
        wire_name = member.get("locationName", self.model.shapes[member["shape"]].get("locationName", member_name))
        if location in ("header", "headers"):
            wire_name = wire_name.lower()
        if self.form == "Query":
            held = self.model.shapes[member["shape"]]
            wire_name = member.get("query_name", held.get("query_name", member_name))
            # Elements of a flat list have the name of an element.
            if held["type"] == "list" and held.get("flattened"):
                wire_name = held["member"].get("query_name", wire_name)
        if shape.get("payload") == member_name:
            place = "kPayload"
        elif location is None:
            place = "kBody"
        else:
            place = LOCATIONS[location]
        fields = [
            f".name = {quoted(member_name)}", f".wire_name = {quoted(wire_name)}",
            f".shape = &{self.form}Shapes::k{member['shape']}", f".offset = offsetof({owner}, {snake_case(member_name)})",
            f".ops = {self.field_ops(owner, member_name, member)}"]
        if place != "kBody":
            fields.append(f".location = am::Location::{place}")
        if "timestampFormat" in member:
            fields.append(f".timestamp_format = am::TimestampFormat::{TIMESTAMP_FORMATS[member['timestampFormat']]}")
        if member_name in shape.get("required", ()):
            fields.append(".required = true")
        if member.get("idempotencyToken"):
            fields.append(".idempotency_token = true")
        if member.get("eventpayload"):
            fields.append(".event_payload = true")
        if member.get("streaming"):
            fields.append(".streaming = true")
        if member.get("xmlAttribute"):
            fields.append(".xml_attribute = true")
        return "    {" + ", ".join(fields) + "},"

    def shape_row(self, name, patterns):
        shape = self.model.shapes[name]
        kind = shape["type"]
        fields = [f".name = {quoted(name)}", f".type = am::ShapeType::{SHAPE_TYPES[kind]}"]
        for bound in ("min", "max"):
            if bound in shape:
                fields.append(f".{bound} = {int(shape[bound])}")
        if "pattern" in shape:
            fields.append(f".pattern = &kPattern{patterns[name]}")
        if "enum" in shape:
            fields.append(f".enum_values = kEnum{name}")
        if "timestampFormat" in shape:
            fields.append(f".timestamp_format = am::TimestampFormat::{TIMESTAMP_FORMATS[shape['timestampFormat']]}")
        for flag in ("sensitive", "flattened", "streaming"):
            if shape.get(flag):
                fields.append(f".{flag} = true")
        if shape.get("eventstream"):
            fields.append(".event_stream = true")
        if kind == "list":
            fields.append(f".value = &{self.form}Shapes::k{shape['member']['shape']}")
            fields.append(f".list = &am::kListOps<{self.model.cpp_type(shape['member']['shape'])}>")
            if self.model.service["protocol"] == "rest-xml" and "locationName" in shape["member"]:
                fields.append(f".element_name = {quoted(shape['member']['locationName'])}")
        if kind == "map":
            fields.append(f".key = &{self.form}Shapes::k{shape['key']['shape']}")
            fields.append(f".value = &{self.form}Shapes::k{shape['value']['shape']}")
            fields.append(f".map = &am::kMapOps<{self.model.cpp_type(shape['value']['shape'])}>")
            for part in ("key", "value"):
                if self.form == "Query" and "query_name" in shape[part]:
                    fields.append(f".{part}_name = {quoted(shape[part]['query_name'])}")
        if shape.get("members"):
            fields.append(f".members = k{self.form}Members{name}")
        if "prefix" in shape.get("xmlNamespace", ()):
            fields.append(f".xml_prefix = {quoted(shape['xmlNamespace']['prefix'])}")
            fields.append(f".xml_prefix_uri = {quoted(shape['xmlNamespace']['uri'])}")
        return f"constinit const am::Shape {self.form}Shapes::k{name} = {{" + ", ".join(fields) + "};"

    def error_row(self, name):
        shape = self.model.shapes[name]
        error = shape.get("error", {})
        status = error.get("httpStatusCode", 500 if shape.get("fault") else 400)
        message = next((member for member in shape.get("members", ()) if member.lower() == "message"), "message")
        fields = [quoted(name), quoted(error.get("code", name)), str(status), quoted(message)]
        if self.model.service.get("query_compatible"):
            folder = "com.amazon.coral.service" if shape.get("common") else f"com.amazonaws.{self.model.service['name']}"
            fields += [quoted(f"{folder}#{name}"), quoted(shape.get("query_error", name))]
            if "query_message" in shape:
                fields.append(quoted(shape["query_message"]))
        return "    {" + ", ".join(fields) + "},"

    def error_rows(self, operation):
        return [self.error_row(name) for name in self.model.facts["operations"][operation].get("errors", ())]

    def all_errors(self):
        """Exceptions of the model by code; of those that share a code, the first."""
        by_code = {}
        for name, shape in sorted(self.model.shapes.items()):
            if shape.get("exception"):
                by_code.setdefault(shape.get("error", {}).get("code", name), name)
        return [self.error_row(by_code[code]) for code in sorted(by_code)]

    def selectors(self, name):
        """What tells rest-xml operations of one method and path apart: required query parameters and headers."""
        found = {"query": [], "headers": []}
        operation = self.model.facts["operations"][name]
        if self.model.service["protocol"] == "rest-xml" and "input" in operation:
            shape = self.model.shapes[operation["input"]]
            for member_name in shape.get("required", ()):
                member = shape["members"][member_name]
                if member.get("location") == "querystring":
                    found["query"].append(member.get("locationName", member_name))
                elif member.get("location") == "header":
                    found["headers"].append(member.get("locationName", member_name).lower())
        return found

    def operation_row(self, name):
        operation = self.model.facts["operations"][name]
        path, _, query = operation["uri"].partition("?")
        fields = [f".name = {quoted(name)}", f".method = {quoted(operation['method'])}", f".uri = {quoted(path)}"]
        if query:
            fields.append(f".uri_query = {quoted(query)}")
        fields.append(f".http_status = {operation['status']}")
        if "output" in operation:
            fields.append(".has_output = true")
        if "result_wrapper" in operation:
            fields.append(f".result_wrapper = {quoted(operation['result_wrapper'])}")
        for place, wire_names in self.selectors(name).items():
            if wire_names:
                fields.append(f".required_{place} = k{place.capitalize()}Of{name}")
        if operation.get("checksum_required"):
            fields.append(".checksum_required = true")
        if name in self.model.operations:
            for side, kind in (("input", self.model.input_type(name)), ("output", self.model.output_type(name))):
                fields.append(f".{side} = &{self.form}Shapes::k{kind}")
            if operation.get("errors"):
                fields.append(f".errors = kErrors{name}")
        row = self.model.authorization.get(name, {})
        if row:
            fields.append(f".action = {quoted(row['action'])}")
            fields.append(f".resource = {quoted(row['resource'])}")
        return "    {" + ", ".join(fields) + "},"

    def shape_tables(self, patterns):
        model = self.model
        out = [f"\nstruct {self.form}Shapes {{"]
        out.extend(f"    static const am::Shape k{name};" for name in model.reachable + model.empty_types())
        out.append("};\n")
        for name in model.structures:
            if model.shapes[name].get("members"):
                out.append(f"constexpr am::Member k{self.form}Members{name}[] = {{")
                out.extend(self.member_row(name, member_name, member)
                           for member_name, member in model.shapes[name]["members"].items())
                out.append("};")
        out.append("")
        out.extend(self.shape_row(name, patterns) for name in model.reachable)
        out.extend(f"constinit const am::Shape {self.form}Shapes::k{name} = {{.name = {quoted(name)}}};"
                   for name in model.empty_types())
        out.append("")
        return "\n".join(out)

    def operation_table(self, names):
        rows = [self.operation_row(name) for name in names]
        return "\n".join([f"\nconstexpr am::Operation k{self.form}Operations[] = {{", *rows, "};\n"])

    def query_service(self, has_errors):
        service = self.model.service
        fields = [f".name = {quoted(service['name'])}", f".signing_name = {quoted(service['signing_name'])}",
                  f".service_id = {quoted(service['service_id'])}", ".protocol = am::Protocol::kQuery",
                  f".api_version = {quoted(service['api_version'])}",
                  f".xml_namespace = {quoted(service['query_xml_namespace'])}"]
        if "validation_code" in service:
            fields.append(f".validation_code = {quoted(service['validation_code'])}")
        fields.append(".operations = kQueryOperations")
        if has_errors:
            fields.append(".errors = kErrors")
        return f"constexpr am::Service kQueryService = {{{', '.join(fields)}}};\n"

    def tables(self):
        model = self.model
        out = ["namespace {\n", "namespace am = ::hearth::aws::model;\n"]
        pattern_numbers = {}
        patterns = {}
        for name in model.reachable:
            shape = model.shapes[name]
            if "pattern" in shape:
                key = (shape["pattern"], shape.get("re2", re2_dialect(shape["pattern"])))
                if key not in pattern_numbers:
                    pattern_numbers[key] = len(pattern_numbers)
                    out.append(f"constinit am::Pattern kPattern{pattern_numbers[key]}({quoted(key[0])}, "
                               f"{quoted(key[1])});")
                patterns[name] = pattern_numbers[key]
        for name in model.reachable:
            shape = model.shapes[name]
            if "enum" in shape:
                values = ", ".join(quoted(value) for value in shape["enum"])
                out.append(f"constexpr std::string_view kEnum{name}[] = {{{values}}};")
        out.append(self.shape_tables(patterns))
        for name in model.operations:
            rows = self.error_rows(name)
            if rows:
                out.append(f"constexpr am::ErrorInfo kErrors{name}[] = {{")
                out.extend(rows)
                out.append("};")
        errors = self.all_errors()
        if errors:
            out.append("constexpr am::ErrorInfo kErrors[] = {")
            out.extend(errors)
            out.append("};")
        names = sorted(model.facts["operations"])
        for name in names:
            for place, wire_names in self.selectors(name).items():
                if wire_names:
                    values = ", ".join(quoted(value) for value in wire_names)
                    out.append(f"constexpr std::string_view k{place.capitalize()}Of{name}[] = {{{values}}};")
        out.append(self.operation_table(names))
        service = model.service
        if service["protocol"] == "json":
            protocol = "kJson10" if service.get("json_version") == "1.0" else "kJson11"
        elif service["protocol"] in PROTOCOLS:
            protocol = PROTOCOLS[service["protocol"]]
        else:
            raise ModelError(f"{service['name']}: protocol {service['protocol']} is not supported")
        fields = [f".name = {quoted(service['name'])}", f".signing_name = {quoted(service['signing_name'])}",
                  f".service_id = {quoted(service['service_id'])}", f".protocol = am::Protocol::{protocol}"]
        for ours in ("target_prefix", "api_version", "xml_namespace", "validation_code"):
            if ours in service:
                fields.append(f".{ours} = {quoted(service[ours])}")
        fields.append(".operations = kOperations")
        if errors:
            fields.append(".errors = kErrors")
        if service.get("query_compatible"):
            self.form = "Query"
            out += [self.shape_tables(patterns), self.operation_table(names), self.query_service(bool(errors))]
            self.form = ""
            fields.append(".query_form = &kQueryService")
        out.append(f"constexpr am::Service kService = {{{', '.join(fields)}}};\n")
        out.append("}  // namespace\n")
        out.append("const aws::model::Service& Service() {\n    return kService;\n}\n")
        for name in model.operations:
            out.append(f"const aws::model::Operation& {name}::Descriptor() {{\n"
                       f"    return kOperations[{names.index(name)}];\n}}\n")
        folder = service["name"]
        text = self.wrap("\n".join(out), [
            [f'"gen/{folder}/operations.gen.h"'], ["<cstddef>", "<string_view>"]], header=False)
        # The structs hold optionals only, whose offsets every compiler we build with knows.
        return text.replace(
            f"namespace {self.namespace} {{\n",
            f'#pragma clang diagnostic ignored "-Winvalid-offsetof"\n\nnamespace {self.namespace} {{\n', 1)


def write_if_changed(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def generate(facts, patch, authorization, operations, out):
    merge(facts, patch)
    model = Model(facts, operations, authorization)
    model.check_names()
    name = facts["service"]["name"].replace("-", "_")
    writer = Writer(model, f"hearth::{name}::model")
    out.mkdir(parents=True, exist_ok=True)
    write_if_changed(out / "types_fwd.gen.h", writer.types_fwd())
    write_if_changed(out / "types.gen.h", writer.types())
    write_if_changed(out / "operations.gen.h", writer.operations())
    write_if_changed(out / "model.gen.cc", writer.tables())


def load(path):
    return json.loads(path.read_text()) if path and path.exists() else {}


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--patch", type=pathlib.Path)
    parser.add_argument("--authorization", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("operations", nargs="+", metavar="OPERATION")
    options = parser.parse_args(arguments)
    try:
        generate(load(options.model), load(options.patch), load(options.authorization).get("operations", {}),
                 options.operations, options.out)
    except ModelError as error:
        raise SystemExit(f"modelgen: {error}") from error


if __name__ == "__main__":
    main(sys.argv[1:])
