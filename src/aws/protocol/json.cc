#include "aws/protocol/json.h"

#include "aws/protocol/errors.h"
#include "codec/base64/base64.h"
#include "codec/timestamp/timestamp.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace hearth::aws::protocol {
namespace {

using codec::Json;
using model::Location;
using model::Member;
using model::Service;
using model::Shape;
using model::ShapeType;
using model::TimestampFormat;

// AWS's names of JSON's kinds of value, as they stand in its messages.
std::string_view ValueName(const Json& json) {
    if (const bool* boolean = json.AsBool()) {
        return *boolean ? "TRUE_VALUE" : "FALSE_VALUE";
    }
    if (json.AsDouble() != nullptr) {
        return "DECIMAL_VALUE";
    }
    return json.is_string() ? "STRING_VALUE" : "NUMBER_VALUE";
}

Error WrongKind(const Service& service, const Json& json, std::string_view wanted) {
    if (json.is_object()) {
        return errors::Serialization(
            service, "Start of structure or map found where not expected.");
    }
    if (json.is_array()) {
        return errors::Serialization(service, "Start of list found where not expected");
    }
    return errors::Serialization(
        service, fmt::format("{} can not be converted to {}", ValueName(json), wanted));
}

std::optional<int64_t> WholeNumber(const Json& json) {
    if (const int64_t* integer = json.AsInt()) {
        return *integer;
    }
    if (const double* number = json.AsDouble()) {
        // Beyond 2^53 a double does not name one integer.
        if (std::floor(*number) == *number && std::abs(*number) <= 9007199254740992.0) {
            return static_cast<int64_t>(*number);
        }
    }
    return std::nullopt;
}

std::optional<double> Number(const Json& json) {
    if (const double* number = json.AsDouble()) {
        return *number;
    }
    if (const int64_t* integer = json.AsInt()) {
        return static_cast<double>(*integer);
    }
    if (const uint64_t* integer = json.AsUint()) {
        return static_cast<double>(*integer);
    }
    if (const std::string* text = json.AsString()) {
        if (*text == "NaN") {
            return std::numeric_limits<double>::quiet_NaN();
        }
        if (*text == "Infinity" || *text == "-Infinity") {
            const double infinity = std::numeric_limits<double>::infinity();
            return text->front() == '-' ? -infinity : infinity;
        }
    }
    return std::nullopt;
}

Status DecodeTimestamp(
    const Service& service, TimestampFormat format, const Json& json, WallClock::time_point* out) {
    Result<WallClock::time_point> time = hearth::errors::Malformed("");
    if (const std::string* text = json.AsString()) {
        time = format == TimestampFormat::kRfc822 ? codec::ParseRfc822(*text)
                                                  : codec::ParseIso8601(*text);
    } else if (const auto seconds = Number(json)) {
        time = codec::FromUnixSeconds(*seconds);
    } else {
        return WrongKind(service, json, "a Timestamp");
    }
    if (!time.ok()) {
        return errors::Serialization(service, "Unable to parse the timestamp");
    }
    *out = *time;
    return {};
}

// The depth of the walk is bound by the parser's limit on the depth of a text.
Status Decode(
    const Service& service, const Shape& shape, TimestampFormat timestamps, Json& json, void* out) {
    switch (shape.type) {
        case ShapeType::kString: {
            std::string* text = json.AsString();
            if (text == nullptr) {
                return WrongKind(service, json, "a String");
            }
            *static_cast<std::string*>(out) = std::move(*text);
            return {};
        }
        case ShapeType::kInteger: {
            const auto integer = WholeNumber(json);
            if (!integer.has_value() || *integer < std::numeric_limits<int32_t>::min() ||
                *integer > std::numeric_limits<int32_t>::max()) {
                return WrongKind(service, json, "an Integer");
            }
            *static_cast<int32_t*>(out) = static_cast<int32_t>(*integer);
            return {};
        }
        case ShapeType::kLong: {
            const auto integer = WholeNumber(json);
            if (!integer.has_value()) {
                return WrongKind(service, json, "a Long");
            }
            *static_cast<int64_t*>(out) = *integer;
            return {};
        }
        case ShapeType::kFloat:
        case ShapeType::kDouble: {
            const auto number = Number(json);
            if (!number.has_value()) {
                return WrongKind(service, json, "a Double");
            }
            *static_cast<double*>(out) = *number;
            return {};
        }
        case ShapeType::kBoolean: {
            const bool* boolean = json.AsBool();
            if (boolean == nullptr) {
                return WrongKind(service, json, "a Boolean");
            }
            *static_cast<bool*>(out) = *boolean;
            return {};
        }
        case ShapeType::kTimestamp:
            return DecodeTimestamp(
                service, timestamps, json, static_cast<WallClock::time_point*>(out));
        case ShapeType::kBlob: {
            const std::string* text = json.AsString();
            if (text == nullptr) {
                return WrongKind(service, json, "a Blob");
            }
            auto bytes = codec::Base64Decode(*text);
            if (!bytes.ok()) {
                return errors::Serialization(service, "Unable to decode the base64 of a blob");
            }
            *static_cast<std::string*>(out) = *std::move(bytes);
            json = Json();
            return {};
        }
        case ShapeType::kList: {
            Json::Array* array = json.AsArray();
            if (array == nullptr) {
                return errors::Serialization(service, "Expected list or null");
            }
            for (Json& element : *array) {
                if (element.is_null()) {
                    continue;
                }
                HEARTH_RETURN_IF_ERROR(Decode(
                    service,
                    *shape.value,
                    shape.value->timestamp_format,
                    element,
                    shape.list->append(out)));
            }
            return {};
        }
        case ShapeType::kMap: {
            Json::Object* object = json.AsObject();
            if (object == nullptr) {
                return errors::Serialization(service, "Expected map or null");
            }
            for (Json::Member& member : *object) {
                if (member.value.is_null()) {
                    continue;
                }
                HEARTH_RETURN_IF_ERROR(Decode(
                    service,
                    *shape.value,
                    shape.value->timestamp_format,
                    member.value,
                    shape.map->emplace(out, member.name)));
            }
            return {};
        }
        case ShapeType::kStructure:
            return DecodeJsonStructure(service, shape, json, out);
    }
    return {};
}

TimestampFormat FormatOf(const Member& member) {
    return member.timestamp_format != TimestampFormat::kDefault ? member.timestamp_format
                                                                : member.shape->timestamp_format;
}

void Encode(
    const Shape& shape, TimestampFormat timestamps, const void* value, codec::JsonWriter& writer) {
    switch (shape.type) {
        case ShapeType::kString:
            writer.String(*static_cast<const std::string*>(value));
            break;
        case ShapeType::kInteger:
            writer.Int(*static_cast<const int32_t*>(value));
            break;
        case ShapeType::kLong:
            writer.Int(*static_cast<const int64_t*>(value));
            break;
        case ShapeType::kFloat:
        case ShapeType::kDouble:
            writer.Double(*static_cast<const double*>(value));
            break;
        case ShapeType::kBoolean:
            writer.Bool(*static_cast<const bool*>(value));
            break;
        case ShapeType::kTimestamp: {
            const auto time = *static_cast<const WallClock::time_point*>(value);
            if (timestamps == TimestampFormat::kIso8601) {
                writer.String(codec::FormatIso8601(time));
            } else if (timestamps == TimestampFormat::kRfc822) {
                writer.String(codec::FormatRfc822(time));
            } else {
                writer.Raw(codec::FormatUnixSeconds(time));
            }
            break;
        }
        case ShapeType::kBlob:
            writer.String(codec::Base64Encode(*static_cast<const std::string*>(value)));
            break;
        case ShapeType::kList:
            writer.BeginArray();
            for (size_t i = 0; i < shape.list->size(value); ++i) {
                Encode(
                    *shape.value, shape.value->timestamp_format, shape.list->at(value, i), writer);
            }
            writer.EndArray();
            break;
        case ShapeType::kMap: {
            struct Context {
                const Shape& value;
                codec::JsonWriter& writer;
            } context{*shape.value, writer};

            writer.BeginObject();
            shape.map->each(value, &context, [](void* raw, std::string_view key, const void* item) {
                auto& [item_shape, out] = *static_cast<Context*>(raw);
                out.Key(key);
                Encode(item_shape, item_shape.timestamp_format, item, out);
            });
            writer.EndObject();
            break;
        }
        case ShapeType::kStructure:
            EncodeJsonStructure(shape, value, writer);
            break;
    }
}

}  // namespace

Status DecodeJsonStructure(const Service& service, const Shape& shape, Json& json, void* out) {
    Json::Object* object = json.AsObject();
    if (object == nullptr) {
        return errors::Serialization(service, "Expected structure or null");
    }
    for (Json::Member& item : *object) {
        const Member* member = shape.FindMember(item.name);
        if (member == nullptr || member->location != Location::kBody || item.value.is_null()) {
            continue;
        }
        HEARTH_RETURN_IF_ERROR(
            Decode(service, *member->shape, FormatOf(*member), item.value, member->Emplace(out)));
    }
    return {};
}

Status DecodeJsonBody(
    const Service& service, const Shape& shape, std::string_view body, void* out) {
    if (body.empty()) {
        return {};
    }
    auto json = codec::ParseJson(body);
    if (!json.ok()) {
        return errors::Serialization(
            service, "Could not parse request body into json: " + json.error().message());
    }
    if (json->is_null()) {
        return {};
    }
    return DecodeJsonStructure(service, shape, *json, out);
}

void EncodeJsonStructure(const Shape& shape, const void* value, codec::JsonWriter& writer) {
    writer.BeginObject();
    for (const Member& member : shape.members) {
        if (member.location != Location::kBody) {
            continue;
        }
        if (const void* item = member.Get(value)) {
            writer.Key(member.wire_name);
            Encode(*member.shape, FormatOf(member), item, writer);
        }
    }
    writer.EndObject();
}

Answer EncodeJsonResponse(
    const Service& service,
    const model::Operation& operation,
    const void* output,
    std::string_view request_id) {
    Answer answer;
    answer.headers.emplace_back(
        "Content-Type",
        service.protocol == model::Protocol::kJson10 ? "application/x-amz-json-1.0"
                                                     : "application/x-amz-json-1.1");
    answer.headers.emplace_back("x-amzn-RequestId", std::string(request_id));
    if (operation.has_output) {
        codec::JsonWriter writer;
        EncodeJsonStructure(*operation.output, output, writer);
        answer.body = writer.Take();
    }
    return answer;
}

}  // namespace hearth::aws::protocol
