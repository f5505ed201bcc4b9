// The constraints of the model as S3 words them: it has no ValidationException, but a code and a
// text for each header.
// Source: S3 API Reference, "Error responses"; what the service answers.
#include "aws/protocol/rest_xml.h"
#include "aws/protocol/rest_xml_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace hearth::aws::protocol {
namespace {

using model::Location;
using model::Member;
using model::Shape;
using model::ShapeType;

// What S3 says to a value of a header that is none of the allowed ones.
struct HeaderText {
    std::string_view header;
    std::string_view code;
    std::string_view message;
};

constexpr std::string_view kArgument = "InvalidArgument";
constexpr std::string_view kRequest = "InvalidRequest";

constexpr HeaderText kHeaderTexts[] = {
    {"x-amz-acl", kArgument, ""},
    {"x-amz-checksum-algorithm",
     kRequest,
     "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
     "[CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"},
    {"x-amz-checksum-type", kRequest, "Value for x-amz-checksum-type header is invalid."},
    {"x-amz-metadata-directive", kArgument, "Unknown metadata directive."},
    {"x-amz-object-attributes", kArgument, "Invalid attribute name specified."},
    {"x-amz-object-lock-legal-hold", kArgument, "Legal Hold must be either of 'ON' or 'OFF'"},
    {"x-amz-object-lock-mode", kArgument, "Unknown wormMode directive."},
    {"x-amz-sdk-checksum-algorithm",
     kRequest,
     "Value for x-amz-sdk-checksum-algorithm header is invalid."},
    {"x-amz-server-side-encryption", kArgument, "The encryption method specified is not supported"},
    {"x-amz-tagging-directive", kArgument, "Unknown tagging directive."},
};

// Headers whose other values are without consequence.
constexpr std::array<std::string_view, 2> kIgnoredHeaders = {
    "x-amz-checksum-mode", "x-amz-request-payer"};

// Parameters with a range.
struct Range {
    std::string_view parameter;
    std::string_view named;
    int64_t min;
    int64_t max;
};

constexpr Range kRanges[] = {
    {"max-keys", "maxKeys", 0, INT32_MAX},
    {"max-uploads", "max-uploads", 0, INT32_MAX},
    {"max-parts", "max-parts", 0, INT32_MAX},
    {"part-number-marker", "part-number-marker", 0, INT32_MAX},
    {"max-buckets", "max-buckets", 1, 10'000},
};

constexpr int64_t kPartNumberMax = 10'000;

bool IsOneOf(const Shape& shape, std::string_view value) {
    return shape.enum_values.empty() ||
           std::ranges::find(shape.enum_values, value) != shape.enum_values.end();
}

Error WrongHeader(std::string_view header, std::string_view value) {
    if (header == "x-amz-storage-class") {
        return errors::InvalidStorageClass(value);
    }
    if (header == "x-amz-object-ownership") {
        return errors::InvalidArgument(
            fmt::format("Invalid x-amz-object-ownership header: {}", value), header, value);
    }
    for (const HeaderText& text : kHeaderTexts) {
        if (text.header == header) {
            return text.code == kRequest
                       ? errors::InvalidRequest(std::string(text.message))
                       : errors::InvalidArgument(std::string(text.message), header, value);
        }
    }
    return errors::InvalidArgument(fmt::format("Invalid value for {}", header), header, value);
}

Status CheckHeader(const Member& member, const void* value) {
    if (std::ranges::find(kIgnoredHeaders, member.wire_name) != kIgnoredHeaders.end()) {
        return {};
    }
    if (member.shape->type == ShapeType::kString) {
        const auto& text = *static_cast<const std::string*>(value);
        return IsOneOf(*member.shape, text) ? Status() : WrongHeader(member.wire_name, text);
    }
    if (member.shape->type == ShapeType::kList) {
        for (size_t i = 0; i < member.shape->list->size(value); ++i) {
            const auto& text = *static_cast<const std::string*>(member.shape->list->at(value, i));
            if (!IsOneOf(*member.shape->value, text)) {
                return WrongHeader(member.wire_name, text);
            }
        }
    }
    return {};
}

Status CheckParameter(const Member& member, const void* value) {
    if (member.wire_name == "encoding-type") {
        std::string text = *static_cast<const std::string*>(value);
        std::ranges::transform(text, text.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        if (text != "url") {
            return errors::InvalidArgument(
                "Invalid Encoding Method specified in Request",
                member.wire_name,
                *static_cast<const std::string*>(value));
        }
        return {};
    }
    if (member.wire_name == "versionId" && static_cast<const std::string*>(value)->empty()) {
        return errors::InvalidArgument(
            "Version id cannot be the empty string", member.wire_name, "");
    }
    if (member.shape->type != ShapeType::kInteger) {
        return {};
    }
    const int32_t number = *static_cast<const int32_t*>(value);
    if (member.wire_name == "partNumber" && (number < 1 || number > kPartNumberMax)) {
        return errors::InvalidArgument(
            "Part number must be an integer between 1 and 10000, inclusive",
            member.wire_name,
            fmt::to_string(number));
    }
    for (const Range& range : kRanges) {
        if (range.parameter == member.wire_name && (number < range.min || number > range.max)) {
            return errors::InvalidArgument(
                fmt::format(
                    "Argument {} must be an integer between {} and {}",
                    range.named,
                    range.min,
                    range.max),
                range.named,
                fmt::to_string(number));
        }
    }
    return {};
}

// What S3's schema asks of a body: required elements, and values of enumerations. Lengths and
// patterns are the services' to word.
bool FitsSchema(const Shape& shape, const void* value) {
    switch (shape.type) {
        case ShapeType::kStructure:
            return std::ranges::all_of(shape.members, [&](const Member& member) {
                const void* item = member.Get(value);
                return item == nullptr ? !member.required : FitsSchema(*member.shape, item);
            });
        case ShapeType::kList:
            for (size_t i = 0; i < shape.list->size(value); ++i) {
                if (!FitsSchema(*shape.value, shape.list->at(value, i))) {
                    return false;
                }
            }
            return true;
        case ShapeType::kString:
            return IsOneOf(shape, *static_cast<const std::string*>(value));
        default:
            return true;
    }
}

// A header that lists nothing says as much as none.
bool IsEmptyHeader(const Member& member, const void* value) {
    return member.location == Location::kHeader && member.shape->type == ShapeType::kList &&
           member.shape->list->size(value) == 0;
}

Error Missing(const Member& member) {
    if (member.location == Location::kPayload) {
        return errors::MissingRequestBody();
    }
    if (member.wire_name == "x-amz-object-attributes") {
        return errors::InvalidRequest(
            "The x-amz-object-attributes header specifying the attributes to be retrieved is "
            "either missing or empty");
    }
    if (member.location == Location::kHeader) {
        return errors::InvalidRequest(
            fmt::format("Missing required header for this request: {}", member.wire_name));
    }
    return errors::InvalidArgument(
        fmt::format("This operation requires {}", member.wire_name), member.wire_name, "");
}

}  // namespace

Status ValidateRestXml(const Shape& shape, const void* input) {
    for (const Member& member : shape.members) {
        const void* value = member.Get(input);
        if (value == nullptr || IsEmptyHeader(member, value)) {
            // A text without a schema (a bucket's policy) is judged by its operation, empty or not.
            const bool text =
                member.location == Location::kPayload && member.shape->type == ShapeType::kString;
            if (member.required && !text) {
                return Missing(member);
            }
            continue;
        }
        switch (member.location) {
            case Location::kHeader:
                HEARTH_RETURN_IF_ERROR(CheckHeader(member, value));
                break;
            case Location::kQueryString:
                HEARTH_RETURN_IF_ERROR(CheckParameter(member, value));
                break;
            case Location::kPayload:
                if (!FitsSchema(*member.shape, value)) {
                    return errors::MalformedXml();
                }
                break;
            default:
                break;
        }
    }
    return {};
}

}  // namespace hearth::aws::protocol
