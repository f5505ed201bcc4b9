#include "aws/protocol/rest_xml.h"

#include "aws/protocol/rest_xml_body.h"
#include "aws/protocol/rest_xml_errors.h"
#include "aws/protocol/rest_xml_integrity.h"
#include "aws/protocol/scalars.h"
#include "aws/protocol/utf8.h"
#include "codec/base64/base64.h"
#include "codec/timestamp/timestamp.h"
#include "codec/uri/uri.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace hearth::aws::protocol {
namespace {

using model::Location;
using model::Member;
using model::Operation;
using model::Service;
using model::Shape;
using model::ShapeType;
using model::TimestampFormat;

// A path, taken apart. Still encoded.
struct Address {
    // 0: the service; 1: a bucket; 2: an object.
    int depth = 0;
    std::string_view bucket;
    std::string_view key;
};

Address TakeApart(std::string_view path) {
    Address address;
    path.remove_prefix(path.starts_with('/') ? 1 : 0);
    if (path.empty()) {
        return address;
    }
    const size_t slash = path.find('/');
    address.depth = 1;
    address.bucket = path.substr(0, slash);
    if (slash != std::string_view::npos && slash + 1 < path.size()) {
        address.depth = 2;
        address.key = path.substr(slash + 1);
    }
    return address;
}

// "/", "/{Bucket}" or "/{Bucket}/{Key+}".
int DepthOf(const Operation& operation) {
    return operation.uri == "/" ? 0 : operation.uri.ends_with("+}") ? 2 : 1;
}

// The name of the first or last label of an operation's path.
std::string_view LabelName(std::string_view uri, bool last) {
    const size_t begin = (last ? uri.rfind('{') : uri.find('{')) + 1;
    return uri.substr(begin, uri.find_first_of("+}", begin) - begin);
}

template <class Visitor>
void EachPiece(std::string_view query, Visitor visit) {
    while (!query.empty()) {
        const size_t end = query.find('&');
        const std::string_view piece = query.substr(0, end);
        query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
        if (!piece.empty()) {
            const size_t equals = piece.find('=');
            visit(
                piece.substr(0, equals),
                equals == std::string_view::npos ? std::string_view() : piece.substr(equals + 1));
        }
    }
}

// The parameters of a request by name and value, as they stand. Names that choose an operation
// have no characters that anybody encodes.
class Parameters final {
  public:
    explicit Parameters(std::string_view query) {
        EachPiece(query, [this](std::string_view name, std::string_view value) {
            if (pairs_.size() < codec::kQueryParametersMax) {
                pairs_.emplace_back(name, value);
            }
        });
    }

    bool empty() const { return pairs_.empty(); }

    bool Has(std::string_view name) const {
        return std::ranges::any_of(pairs_, [&](const auto& pair) { return pair.first == name; });
    }

    // Whether every fixed parameter of an operation's URI is there. One that is a name alone takes
    // any value.
    bool HasAll(std::string_view fixed) const {
        bool all = true;
        EachPiece(fixed, [&](std::string_view name, std::string_view value) {
            all = all && std::ranges::any_of(pairs_, [&](const auto& pair) {
                      return pair.first == name && (value.empty() || pair.second == value);
                  });
        });
        return all;
    }

  private:
    std::vector<std::pair<std::string_view, std::string_view>> pairs_;
};

bool HasHeader(const RequestParts& request, std::string_view name) {
    return std::ranges::any_of(
        request.headers, [&](const auto& header) { return header.first == name; });
}

// The part of an operation's fixed query that names a sub-resource: "acl" of "acl", nothing of
// "list-type=2".
std::string_view SubResource(const Operation& operation) {
    const std::string_view first = operation.uri_query.substr(0, operation.uri_query.find('&'));
    return first.find('=') == std::string_view::npos ? first : std::string_view();
}

// What the query of a request says of sub-resources.
struct SubResources {
    // Of the depth of the request, sorted.
    std::vector<std::string_view> here;
    // The first one that only another depth has.
    std::string_view elsewhere;
};

SubResources FindSubResources(const Service& service, const Parameters& parameters, int depth) {
    constexpr std::string_view kUploadId = "uploadId";
    SubResources found;
    if (parameters.empty()) {
        return found;
    }
    const auto add = [&](std::string_view name) {
        if (std::ranges::find(found.here, name) == found.here.end()) {
            found.here.push_back(name);
        }
    };
    std::string_view elsewhere;
    for (const Operation& operation : service.operations) {
        const std::string_view name = SubResource(operation);
        if (name.empty() || !parameters.Has(name)) {
            continue;
        }
        if (DepthOf(operation) == depth) {
            add(name);
        } else {
            elsewhere = name;
        }
    }
    if (parameters.Has(kUploadId)) {
        if (depth == 2) {
            add(kUploadId);
        } else {
            elsewhere = kUploadId;
        }
    }
    std::ranges::sort(found.here);
    if (std::ranges::find(found.here, elsewhere) == found.here.end()) {
        found.elsewhere = elsewhere;
    }
    return found;
}

std::string InCapitals(std::string_view text) {
    std::string capitals(text);
    for (char& c : capitals) {
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    return capitals;
}

// The operation that asks for most of what the request has.
const Operation* BestOperation(
    const Service& service, const RequestParts& request, const Parameters& parameters, int depth) {
    const Operation* best = nullptr;
    size_t best_score = 0;
    for (const Operation& operation : service.operations) {
        if (operation.method != request.method || DepthOf(operation) != depth ||
            !parameters.HasAll(operation.uri_query)) {
            continue;
        }
        const bool complete = std::ranges::all_of(
                                  operation.required_query,
                                  [&](std::string_view name) { return parameters.Has(name); }) &&
                              std::ranges::all_of(
                                  operation.required_headers,
                                  [&](std::string_view name) { return HasHeader(request, name); });
        if (!complete && operation.uri_query.empty()) {
            continue;
        }
        // What is named in the path of the model weighs most; then what is complete; among those
        // the one that asks for more.
        const size_t score =
            1 + (operation.uri_query.empty() ? 0 : 1000) +
            (complete ? 100 + operation.required_query.size() + operation.required_headers.size()
                      : 0);
        if (score > best_score) {
            best = &operation;
            best_score = score;
        }
    }
    return best;
}

Error NoOperation(const RequestParts& request, int depth, const SubResources& named) {
    if (!named.here.empty()) {
        return errors::MethodNotAllowed(request.method, InCapitals(named.here.front()));
    }
    constexpr std::array<std::string_view, 3> kKinds = {"SERVICE", "BUCKET", "OBJECT"};
    return errors::MethodNotAllowed(request.method, kKinds[static_cast<size_t>(depth)]);
}

// A path's piece, decoded. A bare plus is a space here, as in S3.
Result<std::string> DecodeLabel(std::string_view encoded) {
    auto decoded = [&] {
        if (encoded.find('+') == std::string_view::npos) {
            return codec::PercentDecode(encoded);
        }
        std::string spaced(encoded);
        std::ranges::replace(spaced, '+', ' ');
        return codec::PercentDecode(spaced);
    }();
    if (!decoded.ok() || !IsUtf8(*decoded)) {
        return errors::InvalidUri();
    }
    return decoded;
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
    return std::ranges::equal(text, lower, [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
}

std::string_view Trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

TimestampFormat FormatOf(const Member& member, TimestampFormat otherwise) {
    if (member.timestamp_format != TimestampFormat::kDefault) {
        return member.timestamp_format;
    }
    return member.shape->timestamp_format != TimestampFormat::kDefault
               ? member.shape->timestamp_format
               : otherwise;
}

std::string InLowerCase(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return lower;
}

// SDKs that sign a URL move headers into it, and S3 takes them from there: access control lists,
// metadata, tags, the storage class. Not those of encryption, nor check sums, which SDKs compute of
// the body that is not there yet. Source: aws-sdk-js-v3, issues 4694, 5414; pull request 1701.
bool MayStandInQuery(std::string_view header) {
    constexpr std::array<std::string_view, 4> kOnlyHeaders = {
        "x-amz-checksum-", "x-amz-sdk-", "x-amz-server-side-encryption", "x-amz-copy-source"};
    return header.starts_with("x-amz-") &&
           std::ranges::none_of(
               kOnlyHeaders, [&](std::string_view start) { return header.starts_with(start); });
}

// Headers that name an algorithm, a type or a mode, in any case; the model has them in capitals.
bool IsNameOfChecksums(std::string_view header) {
    constexpr std::array<std::string_view, 4> kNames = {
        "x-amz-checksum-algorithm",
        "x-amz-checksum-mode",
        "x-amz-checksum-type",
        "x-amz-sdk-checksum-algorithm"};
    return std::ranges::find(kNames, header) != kNames.end();
}

// Digits with or without a minus; leading zeros do not count.
template <class Number>
bool ParseDigits(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

Error NotAnInteger(std::string_view name, std::string_view value) {
    if (name == "partNumber") {
        return errors::InvalidArgument(
            "Part number must be an integer between 1 and 10000, inclusive", name, value);
    }
    return errors::InvalidArgument(
        fmt::format("Provided {} not an integer or within integer range", name), name, value);
}

class Decoder final {
  public:
    Decoder(const Match& match, const RequestParts& request)
        : match_(match),
          request_(request),
          presigned_(request.query.find("X-Amz-Signature=") != std::string_view::npos) {}

    Status Decode(const Shape& shape, void* input) {
        for (const Member& member : shape.members) {
            switch (member.location) {
                case Location::kUri:
                    Label(member, input);
                    break;
                case Location::kQueryString:
                    HEARTH_RETURN_IF_ERROR(Query(member, input));
                    break;
                case Location::kHeader:
                    HEARTH_RETURN_IF_ERROR(Header(member, input));
                    break;
                case Location::kHeaders:
                    HEARTH_RETURN_IF_ERROR(PrefixedHeaders(member, input));
                    break;
                case Location::kPayload:
                    HEARTH_RETURN_IF_ERROR(Payload(member, input));
                    break;
                case Location::kBody:
                case Location::kStatusCode:
                    break;
            }
        }
        return {};
    }

  private:
    void Label(const Member& member, void* input) {
        for (const auto& [name, value] : match_.labels) {
            if (name == member.wire_name) {
                *static_cast<std::string*>(member.Emplace(input)) = value;
            }
        }
    }

    Status ParseQuery() {
        if (!parsed_query_) {
            auto parameters = codec::ParseQuery(request_.query);
            if (!parameters.ok()) {
                return errors::InvalidUri();
            }
            query_ = *std::move(parameters);
            parsed_query_ = true;
        }
        return {};
    }

    Status Query(const Member& member, void* input) {
        if (request_.query.empty()) {
            return {};
        }
        HEARTH_RETURN_IF_ERROR(ParseQuery());
        for (const auto& [name, value] : query_) {
            if (name != member.wire_name) {
                continue;
            }
            // A number or flag without a value counts as not given.
            if (value.empty() && member.shape->type != ShapeType::kString) {
                return {};
            }
            if (!IsUtf8(value)) {
                return errors::InvalidUri();
            }
            return Scalar(member, TimestampFormat::kIso8601, value, input);
        }
        return {};
    }

    Status Header(const Member& member, void* input) {
        for (const auto& [name, value] : request_.headers) {
            if (name != member.wire_name) {
                continue;
            }
            if (member.shape->type == ShapeType::kList) {
                // Lists come as one header with commas or as several headers.
                HeaderList(member, value, input);
                continue;
            }
            HEARTH_RETURN_IF_ERROR(Scalar(member, TimestampFormat::kRfc822, value, input));
            if (IsNameOfChecksums(member.wire_name)) {
                *static_cast<std::string*>(member.Emplace(input)) = InCapitals(value);
            }
            return {};
        }
        if (!presigned_ || !MayStandInQuery(member.wire_name)) {
            return {};
        }
        HEARTH_RETURN_IF_ERROR(ParseQuery());
        for (const auto& [name, value] : query_) {
            if (EqualsIgnoringCase(name, member.wire_name) &&
                member.shape->type != ShapeType::kList) {
                return Scalar(member, TimestampFormat::kRfc822, value, input);
            }
        }
        return {};
    }

    static void HeaderList(const Member& member, std::string_view text, void* input) {
        const void* present = member.Get(input);
        void* list = present == nullptr ? member.Emplace(input) : const_cast<void*>(present);
        for (;;) {
            const size_t comma = text.find(',');
            const std::string_view item = Trimmed(text.substr(0, comma));
            if (!item.empty()) {
                *static_cast<std::string*>(member.shape->list->append(list)) = item;
            }
            if (comma == std::string_view::npos) {
                return;
            }
            text.remove_prefix(comma + 1);
        }
    }

    Status PrefixedHeaders(const Member& member, void* input) {
        void* out = nullptr;
        const auto add = [&](std::string_view name, const std::string& value) {
            if (!name.starts_with(member.wire_name)) {
                return;
            }
            out = out == nullptr ? member.Emplace(input) : out;
            auto& item = *static_cast<std::string*>(
                member.shape->map->emplace(out, std::string(name.substr(member.wire_name.size()))));
            // Several headers of one name are one with commas.
            item = item.empty() ? value : item + "," + value;
        };
        for (const auto& [name, value] : request_.headers) {
            add(name, value);
        }
        if (presigned_) {
            HEARTH_RETURN_IF_ERROR(ParseQuery());
            for (const auto& [name, value] : query_) {
                add(InLowerCase(name), value);
            }
        }
        return {};
    }

    static Status Scalar(
        const Member& member, TimestampFormat otherwise, std::string_view text, void* input) {
        const Shape& shape = *member.shape;
        switch (shape.type) {
            case ShapeType::kInteger: {
                int32_t number = 0;
                if (!ParseDigits(text, number)) {
                    return NotAnInteger(member.wire_name, text);
                }
                *static_cast<int32_t*>(member.Emplace(input)) = number;
                return {};
            }
            case ShapeType::kLong: {
                int64_t number = 0;
                if (!ParseDigits(text, number)) {
                    return NotAnInteger(member.wire_name, text);
                }
                *static_cast<int64_t*>(member.Emplace(input)) = number;
                return {};
            }
            case ShapeType::kBoolean: {
                const bool yes = EqualsIgnoringCase(text, "true");
                if (!yes && !EqualsIgnoringCase(text, "false")) {
                    return errors::InvalidArgument(
                        fmt::format("The value of {} must be true or false", member.wire_name),
                        member.wire_name,
                        text);
                }
                *static_cast<bool*>(member.Emplace(input)) = yes;
                return {};
            }
            case ShapeType::kTimestamp:
                return Timestamp(member, FormatOf(member, otherwise), text, input);
            default: {
                std::string value;
                if (!ParseScalar(shape, otherwise, text, &value).ok()) {
                    return errors::InvalidArgument(
                        fmt::format("Invalid value for {}", member.wire_name),
                        member.wire_name,
                        text);
                }
                *static_cast<std::string*>(member.Emplace(input)) = std::move(value);
                return {};
            }
        }
    }

    static Status Timestamp(
        const Member& member, TimestampFormat format, std::string_view text, void* input) {
        WallClock::time_point time;
        if (ParseScalar(*member.shape, format, text, &time).ok()) {
            *static_cast<WallClock::time_point*>(member.Emplace(input)) = time;
            return {};
        }
        // A condition on a date that is none is passed over (RFC 9110, 13.1.3).
        if (format == TimestampFormat::kRfc822) {
            return {};
        }
        return errors::InvalidArgument(
            "The retain until date must be provided in ISO 8601 format", member.wire_name, text);
    }

    Status Payload(const Member& member, void* input) {
        if (member.shape->type == ShapeType::kStructure) {
            if (request_.body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
                return {};
            }
            return DecodeXmlBody(
                request_.body, member.wire_name, *member.shape, member.Emplace(input));
        }
        if (!request_.body.empty()) {
            *static_cast<std::string*>(member.Emplace(input)) = request_.body;
        }
        return {};
    }

    const Match& match_;
    const RequestParts& request_;
    // Signed by its URL.
    const bool presigned_;
    codec::QueryParameters query_;
    bool parsed_query_ = false;
};

// Header values of ours never break the head apart.
std::string HeaderText(std::string text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            c = ' ';
        }
    }
    return text;
}

std::string HeaderValue(const Member& member, const void* value) {
    const TimestampFormat format = FormatOf(member, TimestampFormat::kRfc822);
    if (member.shape->type == ShapeType::kTimestamp && format == TimestampFormat::kIso8601) {
        return codec::FormatIso8601(*static_cast<const WallClock::time_point*>(value), true);
    }
    return HeaderText(FormatScalar(*member.shape, format, value));
}

void AddPrefixedHeaders(const Member& member, const void* map, Headers& headers) {
    struct Context {
        const Member& member;
        Headers& headers;
    } context{member, headers};

    member.shape->map->each(map, &context, [](void* raw, std::string_view key, const void* value) {
        auto& [prefixed, added] = *static_cast<Context*>(raw);
        added.emplace_back(
            HeaderText(fmt::format("{}{}", prefixed.wire_name, key)),
            HeaderText(*static_cast<const std::string*>(value)));
    });
}

}  // namespace

Result<Match> FindRestXmlOperation(const Service& service, const RequestParts& request) {
    const Address address = TakeApart(request.path);
    const Parameters parameters(request.query);
    const SubResources named = FindSubResources(service, parameters, address.depth);
    if (named.here.size() > 1) {
        return errors::InvalidArgument(
            fmt::format("Conflicting query string parameters: {}", fmt::join(named.here, ", ")),
            "ResourceType",
            named.here.front());
    }
    // What only reads may have a sub-resource of another depth without harm; a write to something
    // else than the caller means is refused.
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (!named.elsewhere.empty() && !reads) {
        if (address.depth == 1) {
            return errors::InvalidRequest("A key must be specified");
        }
        return errors::MethodNotAllowed(request.method, InCapitals(named.elsewhere));
    }
    const Operation* operation = BestOperation(service, request, parameters, address.depth);
    // A sub-resource that this method does not have, and an upload's part without its other half.
    if (operation != nullptr && !named.here.empty() && operation->uri_query.empty() &&
        std::ranges::find(operation->required_query, named.here.front()) ==
            operation->required_query.end()) {
        operation = nullptr;
    }
    if (operation == nullptr) {
        return NoOperation(request, address.depth, named);
    }
    if (request.method == "PUT" && address.depth == 2 && operation->required_query.empty() &&
        parameters.Has("partNumber")) {
        return errors::InvalidArgument(
            "This operation does not accept partNumber without uploadId",
            "partNumber",
            "partNumber");
    }
    Match found;
    found.operation = operation;
    if (address.depth >= 1) {
        HEARTH_TRY(std::string bucket, DecodeLabel(address.bucket));
        found.labels.emplace_back(LabelName(operation->uri, false), std::move(bucket));
    }
    if (address.depth == 2) {
        HEARTH_TRY(std::string key, DecodeLabel(address.key));
        if (key.size() > kObjectKeyBytesMax) {
            return errors::KeyTooLong(key.size());
        }
        found.labels.emplace_back(LabelName(operation->uri, true), std::move(key));
    }
    return found;
}

Status DecodeRestXml(const Service&, const Match& match, const RequestParts& request, void* input) {
    const Member* payload = match.operation->input->Payload();
    if (payload != nullptr && !payload->streaming) {
        HEARTH_RETURN_IF_ERROR(CheckBodyIntegrity(*match.operation, request));
    }
    return Decoder(match, request).Decode(*match.operation->input, input);
}

Answer EncodeRestXmlResponse(
    const Service& service,
    const Operation& operation,
    const void* output,
    std::string_view request_id) {
    Answer answer;
    answer.status = operation.http_status;
    answer.headers.emplace_back("x-amz-request-id", std::string(request_id));
    answer.headers.emplace_back("x-amz-id-2", HostId(request_id));
    const Member* payload = nullptr;
    const Member* first_in_body = nullptr;
    for (const Member& member : operation.output->members) {
        const void* item = member.Get(output);
        switch (member.location) {
            case Location::kHeader:
                if (item != nullptr && member.wire_name != "content-length") {
                    answer.headers.emplace_back(member.wire_name, HeaderValue(member, item));
                }
                break;
            case Location::kHeaders:
                if (item != nullptr) {
                    AddPrefixedHeaders(member, item, answer.headers);
                }
                break;
            case Location::kStatusCode:
                if (item != nullptr) {
                    answer.status = *static_cast<const int32_t*>(item);
                }
                break;
            case Location::kPayload:
                payload = &member;
                break;
            case Location::kBody:
                first_in_body = first_in_body == nullptr ? &member : first_in_body;
                break;
            case Location::kUri:
            case Location::kQueryString:
                break;
        }
    }
    const std::string_view xml_namespace = service.xml_namespace;
    if (payload != nullptr) {
        const void* item = payload->Get(output);
        if (item == nullptr) {
            return answer;
        }
        if (payload->shape->type == ShapeType::kStructure) {
            answer.body = EncodeXmlBody(payload->wire_name, xml_namespace, *payload->shape, item);
        } else {
            // An object's own type stands in a header of the output; a policy is a JSON text.
            answer.body = *static_cast<const std::string*>(item);
            if (payload->shape->type == ShapeType::kString) {
                answer.headers.emplace_back("content-type", "application/json");
            }
            return answer;
        }
    } else if (first_in_body == nullptr) {
        return answer;
    } else if (!operation.result_wrapper.empty()) {
        answer.body =
            EncodeXmlBody(operation.result_wrapper, xml_namespace, *operation.output, output);
    } else {
        answer.body = EncodeXmlScalarBody(
            first_in_body->wire_name,
            xml_namespace,
            *first_in_body->shape,
            first_in_body->Get(output));
    }
    answer.headers.emplace_back("content-type", "application/xml");
    return answer;
}

std::string HostId(std::string_view request_id) {
    constexpr size_t kBytes = 72;
    // FNV-1a, then SplitMix64: an opaque text that is the same for the same request.
    uint64_t state = 0xcbf29ce484222325;
    for (const char c : request_id) {
        state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    std::string bytes(kBytes, '\0');
    for (size_t i = 0; i < kBytes; i += sizeof(uint64_t)) {
        state += 0x9e3779b97f4a7c15;
        uint64_t mixed = state;
        mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
        mixed ^= mixed >> 31;
        std::memcpy(bytes.data() + i, &mixed, sizeof(mixed));
    }
    return codec::Base64Encode(bytes);
}

}  // namespace hearth::aws::protocol
