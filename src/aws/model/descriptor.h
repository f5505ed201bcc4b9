#pragma once

#include "aws/model/access.h"
#include "aws/model/pattern.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

// Constant tables that describe an AWS interface: its operations, their shapes, and how a shape's
// members reach the wire. tools/modelgen writes them from models/<service>.json; one codec per
// protocol walks them, so that no code is generated per shape.
//
// How values are held, for every generated struct: each member is an optional of
//   kString std::string · kInteger int32_t · kLong int64_t · kBoolean bool · kFloat, kDouble double
//   · kTimestamp WallClock::time_point · kBlob std::string (raw bytes) · kList std::vector<T> ·
//   kMap std::map<std::string, T> · kStructure the struct (std::shared_ptr of it where it recurs).
namespace hearth::aws::model {

enum class Protocol { kJson10, kJson11, kRestJson, kRestXml, kQuery };

enum class ShapeType {
    kString,
    kInteger,
    kLong,
    kBoolean,
    kFloat,
    kDouble,
    kTimestamp,
    kBlob,
    kList,
    kMap,
    kStructure,
};

// kDefault is the protocol's own choice for the place where the value stands.
enum class TimestampFormat { kDefault, kIso8601, kRfc822, kUnixSeconds };

// Where a member of an operation's input or output stands. All but kBody are of the rest protocols.
enum class Location {
    kBody,
    kUri,          // a label of the path
    kQueryString,  // one parameter; a map fills the rest of the query
    kHeader,       // one header
    kHeaders,      // all headers with a prefix (a map)
    kStatusCode,   // the answer's status (output only)
    kPayload,      // the whole body
};

struct Shape;

struct Member {
    std::string_view name;       // as in the model: "FunctionName"
    std::string_view wire_name;  // of the body, query parameter, header (in lower case) or label
    const Shape* shape = nullptr;
    size_t offset = 0;
    const FieldOps* ops = nullptr;
    Location location = Location::kBody;
    TimestampFormat timestamp_format = TimestampFormat::kDefault;
    bool required = false;
    bool idempotency_token = false;
    // Of an event: this member is its payload; the others stand in a document.
    bool event_payload = false;
    // A blob payload that the operation pulls (or pushes) piece by piece instead of holding it.
    bool streaming = false;
    // XML: an attribute of the element around, not an element of its own.
    bool xml_attribute = false;

    // The value inside `structure`, or nullptr when the member is not set.
    const void* Get(const void* structure) const {
        return ops->get(static_cast<const std::byte*>(structure) + offset);
    }

    // Sets the member to an empty value and returns it.
    void* Emplace(void* structure) const {
        return ops->emplace(static_cast<std::byte*>(structure) + offset);
    }
};

struct Shape {
    std::string_view name;
    ShapeType type = ShapeType::kStructure;
    // Length of strings and blobs, size of lists and maps, value of numbers.
    std::optional<int64_t> min = std::nullopt;
    std::optional<int64_t> max = std::nullopt;
    const Pattern* pattern = nullptr;
    std::span<const std::string_view> enum_values = {};
    TimestampFormat timestamp_format = TimestampFormat::kDefault;
    // Values never appear in messages or logs.
    bool sensitive = false;
    // Query and XML: no "member" or "entry" level in names.
    bool flattened = false;
    // Body blobs handed through as they are, without a limit on their length in the model.
    bool streaming = false;
    // An output's payload that is a stream of events: each member is one kind of event.
    bool event_stream = false;

    // Of a list (value), a map (key and value).
    const Shape* key = nullptr;
    const Shape* value = nullptr;
    const ListOps* list = nullptr;
    const MapOps* map = nullptr;
    // Query: what key and value of a map's entry are called.
    std::string_view key_name = "key";
    std::string_view value_name = "value";
    // XML: the element around each value of a list that is not flattened.
    std::string_view element_name = "member";

    // Of a structure.
    std::span<const Member> members = {};
    // XML: a namespace that elements of this shape declare for their attributes ("xsi").
    std::string_view xml_prefix = {};
    std::string_view xml_prefix_uri = {};

    const Member* FindMember(std::string_view wire_name) const;
    // The member that is the whole body, if there is one.
    const Member* Payload() const;
};

struct ErrorInfo {
    std::string_view shape;
    std::string_view code;
    int http_status = 400;
    // How the text's member is spelled on the wire: "message" or "Message".
    std::string_view message_member = "message";
    // Of services with a query form: "com.amazonaws.sqs#QueueDoesNotExist", and the code that the
    // query protocol has for it, which JSON answers name in x-amzn-query-error.
    std::string_view json_type = {};
    std::string_view query_code = {};
    // Where the query protocol says it in other words.
    std::string_view query_message = {};
};

struct Operation {
    std::string_view name;
    std::string_view method = "POST";
    // "/2015-03-31/functions/{FunctionName}/code"; labels ending in + take slashes too.
    std::string_view uri = "/";
    // "List=ALL": two operations may share method and path and differ in a fixed query parameter.
    std::string_view uri_query = {};
    int http_status = 200;
    // False where the model has no output at all: the answer has no body (json) or no result
    // (query).
    bool has_output = false;
    // Query and XML: the element around the output. An XML answer without one is its first body
    // member itself.
    std::string_view result_wrapper = {};
    // XML: query parameters and headers (lower case) that a request of this operation must have;
    // they tell apart operations of one method and path.
    std::span<const std::string_view> required_query = {};
    std::span<const std::string_view> required_headers = {};
    // The body must come with Content-MD5 or another checksum.
    bool checksum_required = false;
    // Null for operations that were generated by name only because Hearth does not have them.
    const Shape* input = nullptr;
    const Shape* output = nullptr;
    std::span<const ErrorInfo> errors = {};

    // What the caller must be allowed to do (models/authorization); empty when there is no row.
    std::string_view action = {};
    std::string_view resource = {};

    bool known_only() const { return input == nullptr; }

    // The input's payload that is pulled piece by piece, or nullptr.
    const Member* StreamingInput() const {
        const Member* payload = input == nullptr ? nullptr : input->Payload();
        return payload != nullptr && payload->streaming ? payload : nullptr;
    }
};

struct Service {
    std::string_view name;          // "lambda": folder, route and namespace
    std::string_view signing_name;  // of the credential scope
    std::string_view service_id;    // "Lambda"
    Protocol protocol = Protocol::kJson11;
    std::string_view target_prefix = {};  // json: "Logs_20140328"
    std::string_view api_version = {};    // query: "2011-06-15"
    std::string_view xml_namespace = {};
    // The code under which broken constraints are answered.
    std::string_view validation_code = "ValidationException";
    // All operations of the model, sorted by name.
    std::span<const Operation> operations;
    // All errors of the model, sorted by code.
    std::span<const ErrorInfo> errors = {};
    // The same service as its older clients call it (SQS): the same operations in the same order
    // and the same C++ types, by the query protocol. Null where there is one protocol.
    const Service* query_form = nullptr;

    const Operation* FindOperation(std::string_view name) const;
    const ErrorInfo* FindError(std::string_view code) const;
};

}  // namespace hearth::aws::model
