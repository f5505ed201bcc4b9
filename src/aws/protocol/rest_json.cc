#include "aws/protocol/rest_json.h"

#include "aws/protocol/errors.h"
#include "aws/protocol/json.h"
#include "aws/protocol/scalars.h"
#include "codec/uri/uri.h"

#include <fmt/format.h>

namespace hearth::aws::protocol {
namespace {

using model::Location;
using model::Member;
using model::Operation;
using model::Service;
using model::Shape;
using model::ShapeType;
using model::TimestampFormat;

// Paths of the services' models have at most eight segments.
constexpr size_t kSegmentsMax = 64;

// "/a/b/" and "/a/b" are the same: old SDKs send the slash that new ones leave out.
std::vector<std::string_view> Segments(std::string_view path) {
    std::vector<std::string_view> segments;
    if (path.starts_with('/')) {
        path.remove_prefix(1);
    }
    if (path.ends_with('/')) {
        path.remove_suffix(1);
    }
    while (segments.size() <= kSegmentsMax) {
        const size_t slash = path.find('/');
        segments.push_back(path.substr(0, slash));
        if (slash == std::string_view::npos) {
            break;
        }
        path.remove_prefix(slash + 1);
    }
    return segments;
}

// Walks the template next to the request's segments. `literals` has a bit per literal segment, the
// first one highest, so that a greater number is the more literal path from the left.
//   labels  views into the request, still encoded; a greedy one spans several segments
struct PathMatch {
    uint64_t literals = 0;
    std::vector<std::pair<std::string_view, std::string_view>> labels;
};

bool MatchPath(
    std::string_view uri, const std::vector<std::string_view>& segments, PathMatch& match) {
    uri.remove_prefix(1);
    if (uri.ends_with('/')) {
        uri.remove_suffix(1);
    }
    size_t i = 0;
    for (;;) {
        const size_t slash = uri.find('/');
        const std::string_view part = uri.substr(0, slash);
        if (i >= segments.size()) {
            return false;
        }
        if (part.starts_with('{')) {
            const bool greedy = part.ends_with("+}");
            const std::string_view name = part.substr(1, part.size() - (greedy ? 3 : 2));
            std::string_view value = segments[i];
            if (greedy) {
                // Greedy labels stand last in all models that we have.
                const char* end = segments.back().data() + segments.back().size();
                value = std::string_view(value.data(), static_cast<size_t>(end - value.data()));
                i = segments.size() - 1;
            }
            if (value.empty()) {
                return false;
            }
            match.labels.emplace_back(name, value);
        } else if (part == segments[i]) {
            match.literals |= uint64_t{1} << (63 - std::min<size_t>(i, 63));
        } else {
            return false;
        }
        ++i;
        if (slash == std::string_view::npos) {
            return i == segments.size();
        }
        uri.remove_prefix(slash + 1);
    }
}

// Whether `query` has the fixed parameter "name=value" (or "name") of an operation's URI.
bool HasParameter(std::string_view query, std::string_view parameter) {
    while (!query.empty()) {
        const size_t end = query.find('&');
        std::string_view piece = query.substr(0, end);
        query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
        if (piece == parameter ||
            (piece.ends_with('=') && piece.substr(0, piece.size() - 1) == parameter)) {
            return true;
        }
    }
    return false;
}

TimestampFormat FormatOf(const Member& member, TimestampFormat otherwise) {
    if (member.timestamp_format != TimestampFormat::kDefault) {
        return member.timestamp_format;
    }
    return member.shape->timestamp_format != TimestampFormat::kDefault
               ? member.shape->timestamp_format
               : otherwise;
}

class Decoder final {
  public:
    Decoder(const Service& service, const Match& match, const RequestParts& request)
        : service_(service), match_(match), request_(request) {}

    Status Decode(const Shape& shape, void* input) {
        bool has_body_members = false;
        for (const Member& member : shape.members) {
            switch (member.location) {
                case Location::kUri:
                    HEARTH_RETURN_IF_ERROR(Label(member, input));
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
                    has_body_members = true;
                    break;
                case Location::kStatusCode:
                    break;
            }
        }
        if (has_body_members && shape.Payload() == nullptr) {
            return DecodeJsonBody(service_, shape, request_.body, input);
        }
        return {};
    }

  private:
    Status Scalar(
        const Member& member, TimestampFormat otherwise, std::string_view text, void* out) {
        if (!ParseScalar(*member.shape, FormatOf(member, otherwise), text, out).ok()) {
            return errors::Serialization(
                service_, fmt::format("Invalid value for {}", member.wire_name));
        }
        return {};
    }

    Status Label(const Member& member, void* input) {
        for (const auto& [name, value] : match_.labels) {
            if (name == member.wire_name) {
                return Scalar(member, TimestampFormat::kIso8601, value, member.Emplace(input));
            }
        }
        return {};
    }

    Status Query(const Member& member, void* input) {
        if (!parsed_query_) {
            auto parameters = codec::ParseQuery(request_.query);
            if (!parameters.ok()) {
                return errors::Serialization(service_, parameters.error().message());
            }
            query_ = *std::move(parameters);
            parsed_query_ = true;
        }
        void* out = nullptr;
        for (const auto& [name, value] : query_) {
            if (name != member.wire_name) {
                continue;
            }
            if (member.shape->type == ShapeType::kList) {
                out = out == nullptr ? member.Emplace(input) : out;
                if (!ParseScalar(
                         *member.shape->value,
                         TimestampFormat::kIso8601,
                         value,
                         member.shape->list->append(out))
                         .ok()) {
                    return errors::Serialization(
                        service_, fmt::format("Invalid value for {}", member.wire_name));
                }
                continue;
            }
            // A number or flag without a value counts as not given.
            if (value.empty() && member.shape->type != ShapeType::kString) {
                continue;
            }
            return Scalar(member, TimestampFormat::kIso8601, value, member.Emplace(input));
        }
        return {};
    }

    Status Header(const Member& member, void* input) {
        for (const auto& [name, value] : request_.headers) {
            if (name == member.wire_name) {
                return Scalar(member, TimestampFormat::kRfc822, value, member.Emplace(input));
            }
        }
        return {};
    }

    Status PrefixedHeaders(const Member& member, void* input) {
        void* out = nullptr;
        for (const auto& [name, value] : request_.headers) {
            if (!std::string_view(name).starts_with(member.wire_name)) {
                continue;
            }
            out = out == nullptr ? member.Emplace(input) : out;
            void* item = member.shape->map->emplace(out, name.substr(member.wire_name.size()));
            *static_cast<std::string*>(item) = value;
        }
        return {};
    }

    Status Payload(const Member& member, void* input) {
        if (member.shape->type == ShapeType::kStructure) {
            if (request_.body.empty()) {
                return {};
            }
            return DecodeJsonBody(service_, *member.shape, request_.body, member.Emplace(input));
        }
        // No body and an empty one are the same in HTTP; both leave the member out.
        if (!request_.body.empty()) {
            *static_cast<std::string*>(member.Emplace(input)) = request_.body;
        }
        return {};
    }

    const Service& service_;
    const Match& match_;
    const RequestParts& request_;
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

}  // namespace

Result<Match> FindRestOperation(const Service& service, const RequestParts& request) {
    const std::vector<std::string_view> segments = Segments(request.path);
    const Operation* best = nullptr;
    PathMatch best_match;
    for (const Operation& operation : service.operations) {
        if (operation.method != request.method ||
            (!operation.uri_query.empty() && !HasParameter(request.query, operation.uri_query))) {
            continue;
        }
        PathMatch match;
        if (MatchPath(operation.uri, segments, match) &&
            (best == nullptr || match.literals > best_match.literals ||
             (match.literals == best_match.literals && !operation.uri_query.empty()))) {
            best = &operation;
            best_match = std::move(match);
        }
    }
    if (best == nullptr) {
        return errors::UnknownOperation(service, request.path);
    }
    Match found;
    found.operation = best;
    for (const auto& [name, value] : best_match.labels) {
        auto decoded = codec::PercentDecode(value);
        if (!decoded.ok()) {
            return errors::Serialization(service, decoded.error().message());
        }
        found.labels.emplace_back(name, *std::move(decoded));
    }
    return found;
}

Status DecodeRestJson(
    const Service& service, const Match& match, const RequestParts& request, void* input) {
    return Decoder(service, match, request).Decode(*match.operation->input, input);
}

Answer EncodeRestJsonResponse(
    const Service&, const Operation& operation, const void* output, std::string_view request_id) {
    const Shape& shape = *operation.output;
    Answer answer;
    answer.status = operation.http_status;
    answer.headers.emplace_back("x-amzn-RequestId", std::string(request_id));
    bool has_body_members = false;
    const Member* payload = nullptr;
    for (const Member& member : shape.members) {
        const void* item = member.Get(output);
        switch (member.location) {
            case Location::kHeader:
                if (item != nullptr) {
                    answer.headers.emplace_back(
                        member.wire_name,
                        HeaderText(FormatScalar(
                            *member.shape, FormatOf(member, TimestampFormat::kRfc822), item)));
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
                has_body_members = true;
                break;
            case Location::kHeaders:
            case Location::kUri:
            case Location::kQueryString:
                break;
        }
    }
    if (payload != nullptr) {
        const void* item = payload->Get(output);
        if (payload->shape->event_stream) {
            // The events follow, one by one (aws/protocol/event_stream.h).
            answer.headers.emplace_back("Content-Type", "application/vnd.amazon.eventstream");
        } else if (payload->shape->type == ShapeType::kStructure) {
            answer.headers.emplace_back("Content-Type", "application/json");
            if (item != nullptr) {
                codec::JsonWriter writer;
                EncodeJsonStructure(*payload->shape, item, writer);
                answer.body = writer.Take();
            }
        } else {
            // Lambda's Invoke answers with JSON whatever the function returned.
            answer.headers.emplace_back("Content-Type", "application/json");
            if (item != nullptr) {
                answer.body = *static_cast<const std::string*>(item);
            }
        }
    } else if (has_body_members || (operation.has_output && operation.http_status != 204)) {
        answer.headers.emplace_back("Content-Type", "application/json");
        codec::JsonWriter writer;
        EncodeJsonStructure(shape, output, writer);
        answer.body = writer.Take();
    } else {
        answer.headers.emplace_back("Content-Type", "application/json");
    }
    return answer;
}

}  // namespace hearth::aws::protocol
