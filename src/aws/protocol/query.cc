#include "aws/protocol/query.h"

#include "aws/protocol/errors.h"
#include "aws/protocol/scalars.h"
#include "aws/protocol/xml.h"
#include "codec/uri/uri.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace hearth::aws::protocol {
namespace {

using model::Member;
using model::Service;
using model::Shape;
using model::ShapeType;
using model::TimestampFormat;

// Structures that hold themselves end here; no shape that we have is that deep.
constexpr int kDepthMax = 32;
// A list's largest index; AWS's are signed.
constexpr uint32_t kIndexMax = std::numeric_limits<int32_t>::max();

// Parameters sorted by name, so that everything below a prefix stands together.
class Parameters final {
  public:
    static Result<Parameters> Parse(const RequestParts& request) {
        Parameters parameters;
        HEARTH_TRY(parameters.sorted_, codec::ParseQuery(request.body));
        HEARTH_TRY(codec::QueryParameters of_query, codec::ParseQuery(request.query));
        std::ranges::move(of_query, std::back_inserter(parameters.sorted_));
        std::ranges::sort(parameters.sorted_);
        return parameters;
    }

    const std::string* Find(std::string_view name) const {
        const auto it = std::ranges::lower_bound(sorted_, name, {}, &Pair::first);
        return it != sorted_.end() && it->first == name ? &it->second : nullptr;
    }

    // Whether `prefix` itself or anything below "prefix." is there.
    bool Has(std::string_view prefix) const {
        const auto it = std::ranges::lower_bound(sorted_, prefix, {}, &Pair::first);
        if (it != sorted_.end() && it->first == prefix) {
            return true;
        }
        return HasBelow(prefix);
    }

    bool HasBelow(std::string_view prefix) const {
        const std::string below = std::string(prefix) + ".";
        const auto it = std::ranges::lower_bound(sorted_, below, {}, &Pair::first);
        return it != sorted_.end() && it->first.starts_with(below);
    }

    // The numbers that stand behind "prefix.", in order, each once.
    //   errors  Malformed with AWS's words for a number that counts nothing: 0, or a huge one
    Result<std::vector<uint32_t>> Indexes(std::string_view prefix) const {
        const std::string below = std::string(prefix) + ".";
        std::vector<uint32_t> indexes;
        for (auto it = std::ranges::lower_bound(sorted_, below, {}, &Pair::first);
             it != sorted_.end() && it->first.starts_with(below);
             ++it) {
            const std::string_view rest = std::string_view(it->first).substr(below.size());
            uint32_t index = 0;
            const auto [end, error] =
                std::from_chars(rest.data(), rest.data() + rest.size(), index);
            const bool whole = end == rest.data() + rest.size() || *end == '.';
            if (error == std::errc::invalid_argument || !whole) {
                continue;
            }
            if (error != std::errc() || index == 0 || index > kIndexMax) {
                return hearth::errors::Malformed(
                    fmt::format("{} is not a valid index", std::string_view(rest.data(), end)));
            }
            indexes.push_back(index);
        }
        std::ranges::sort(indexes);
        const auto repeated = std::ranges::unique(indexes);
        indexes.erase(repeated.begin(), repeated.end());
        return indexes;
    }

  private:
    using Pair = std::pair<std::string, std::string>;
    codec::QueryParameters sorted_;
};

class Decoder final {
  public:
    Decoder(const Service& service, const Parameters& parameters)
        : service_(service), parameters_(parameters) {}

    Status Structure(const Shape& shape, const std::string& prefix, void* out, int depth) {
        for (const Member& member : shape.members) {
            const std::string name = prefix.empty()
                                         ? std::string(member.wire_name)
                                         : fmt::format("{}.{}", prefix, member.wire_name);
            if (!parameters_.Has(name)) {
                continue;
            }
            const TimestampFormat timestamps = member.timestamp_format != TimestampFormat::kDefault
                                                   ? member.timestamp_format
                                                   : member.shape->timestamp_format;
            HEARTH_RETURN_IF_ERROR(
                Value(*member.shape, timestamps, name, member.Emplace(out), depth));
        }
        return {};
    }

  private:
    Status Value(
        const Shape& shape,
        TimestampFormat timestamps,
        const std::string& name,
        void* out,
        int depth) {
        if (depth > kDepthMax) {
            return errors::Serialization(service_, "Parameters are nested too deep");
        }
        switch (shape.type) {
            case ShapeType::kList:
                return List(shape, name, out, depth);
            case ShapeType::kMap:
                return Map(shape, name, out, depth);
            case ShapeType::kStructure:
                return Structure(shape, name, out, depth + 1);
            default:
                break;
        }
        const std::string* text = parameters_.Find(name);
        if (text == nullptr) {
            return errors::Serialization(service_, fmt::format("{} is no structure", name));
        }
        if (!ParseScalar(shape, timestamps, *text, out).ok()) {
            return errors::Serialization(service_, fmt::format("Invalid value for {}", name));
        }
        return {};
    }

    Result<std::vector<uint32_t>> Indexes(const std::string& items) {
        auto indexes = parameters_.Indexes(items);
        if (!indexes.ok()) {
            return errors::Serialization(service_, indexes.error().message());
        }
        return indexes;
    }

    Status List(const Shape& shape, const std::string& name, void* out, int depth) {
        const std::string items = shape.flattened ? name : name + ".member";
        // "AttributeName=All": a flat list of one needs no number.
        if (shape.flattened && parameters_.Find(name) != nullptr) {
            HEARTH_RETURN_IF_ERROR(Value(
                *shape.value,
                shape.value->timestamp_format,
                name,
                shape.list->append(out),
                depth + 1));
        }
        HEARTH_TRY(const auto indexes, Indexes(items));
        for (const uint32_t index : indexes) {
            HEARTH_RETURN_IF_ERROR(Value(
                *shape.value,
                shape.value->timestamp_format,
                fmt::format("{}.{}", items, index),
                shape.list->append(out),
                depth + 1));
        }
        return {};
    }

    Status Map(const Shape& shape, const std::string& name, void* out, int depth) {
        const std::string items = shape.flattened ? name : name + ".entry";
        // "Attribute.Name=a&Attribute.Value=b": a flat map of one needs no number either.
        if (shape.flattened && parameters_.Find(fmt::format("{}.{}", name, shape.key_name))) {
            HEARTH_RETURN_IF_ERROR(Entry(shape, name, out, depth));
        }
        HEARTH_TRY(const auto indexes, Indexes(items));
        for (const uint32_t index : indexes) {
            HEARTH_RETURN_IF_ERROR(Entry(shape, fmt::format("{}.{}", items, index), out, depth));
        }
        return {};
    }

    Status Entry(const Shape& shape, const std::string& prefix, void* out, int depth) {
        const std::string* key = parameters_.Find(fmt::format("{}.{}", prefix, shape.key_name));
        if (key == nullptr) {
            return errors::Serialization(
                service_, fmt::format("{} has no {}", prefix, shape.key_name));
        }
        const std::string value_name = fmt::format("{}.{}", prefix, shape.value_name);
        void* item = shape.map->emplace(out, *key);
        if (parameters_.Has(value_name)) {
            HEARTH_RETURN_IF_ERROR(
                Value(*shape.value, shape.value->timestamp_format, value_name, item, depth + 1));
        }
        return {};
    }

    const Service& service_;
    const Parameters& parameters_;
};

void EncodeStructure(const Shape& shape, const void* value, XmlWriter& writer);

void EncodeValue(
    const Shape& shape,
    TimestampFormat timestamps,
    std::string_view name,
    const void* value,
    XmlWriter& writer) {
    switch (shape.type) {
        case ShapeType::kList:
            if (!shape.flattened) {
                writer.Open(name);
            }
            for (size_t i = 0; i < shape.list->size(value); ++i) {
                EncodeValue(
                    *shape.value,
                    shape.value->timestamp_format,
                    shape.flattened ? name : std::string_view("member"),
                    shape.list->at(value, i),
                    writer);
            }
            if (!shape.flattened) {
                writer.Close(name);
            }
            break;
        case ShapeType::kMap: {
            struct Context {
                const Shape& map;
                std::string_view entry;
                XmlWriter& writer;
            } context{shape, shape.flattened ? name : std::string_view("entry"), writer};

            if (!shape.flattened) {
                writer.Open(name);
            }
            shape.map->each(value, &context, [](void* raw, std::string_view key, const void* item) {
                auto& [map, entry, out] = *static_cast<Context*>(raw);
                out.Open(entry);
                out.Text(map.key_name, key);
                EncodeValue(*map.value, map.value->timestamp_format, map.value_name, item, out);
                out.Close(entry);
            });
            if (!shape.flattened) {
                writer.Close(name);
            }
            break;
        }
        case ShapeType::kStructure:
            writer.Open(name);
            EncodeStructure(shape, value, writer);
            writer.Close(name);
            break;
        default:
            writer.Text(name, FormatScalar(shape, timestamps, value));
    }
}

void EncodeStructure(const Shape& shape, const void* value, XmlWriter& writer) {
    for (const Member& member : shape.members) {
        if (const void* item = member.Get(value)) {
            const TimestampFormat timestamps = member.timestamp_format != TimestampFormat::kDefault
                                                   ? member.timestamp_format
                                                   : member.shape->timestamp_format;
            EncodeValue(*member.shape, timestamps, member.wire_name, item, writer);
        }
    }
}

// One parameter without parsing the others; `found` is false when it is not there.
std::string OneParameter(std::string_view text, std::string_view name, bool& found) {
    while (!text.empty()) {
        const size_t end = text.find('&');
        const std::string_view piece = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        if (piece.size() > name.size() && piece.starts_with(name) && piece[name.size()] == '=') {
            auto value = codec::ParseQuery(piece);
            found = value.ok() && !value->empty();
            return found ? std::move(value->front().second) : std::string();
        }
    }
    found = false;
    return {};
}

std::string OneParameter(const RequestParts& request, std::string_view name) {
    bool found = false;
    std::string value = OneParameter(request.body, name, found);
    return found ? value : OneParameter(request.query, name, found);
}

}  // namespace

std::string QueryAction(const RequestParts& request) {
    return OneParameter(request, "Action");
}

Result<const model::Operation*> FindQueryOperation(
    const Service& service, const RequestParts& request) {
    const std::string action = QueryAction(request);
    if (action.empty()) {
        return errors::MissingAction();
    }
    const model::Operation* operation = service.FindOperation(action);
    const std::string version = OneParameter(request, "Version");
    if (operation == nullptr || (!version.empty() && version != service.api_version)) {
        Error error = errors::UnknownOperation(service, action);
        if (!version.empty()) {
            return Error(
                error.kind(),
                error.code(),
                fmt::format("Could not find operation {} for version {}", action, version),
                error.http_status());
        }
        return error;
    }
    return operation;
}

Status DecodeQuery(
    const Service& service, const Shape& shape, const RequestParts& request, void* out) {
    if (shape.members.empty()) {
        return {};
    }
    auto parameters = Parameters::Parse(request);
    if (!parameters.ok()) {
        return errors::Serialization(service, parameters.error().message());
    }
    return Decoder(service, *parameters).Structure(shape, "", out, 0);
}

Answer EncodeQueryResponse(
    const Service& service,
    const model::Operation& operation,
    const void* output,
    std::string_view request_id) {
    XmlWriter writer;
    const std::string response = std::string(operation.name) + "Response";
    writer.Open(response, service.xml_namespace);
    if (operation.has_output) {
        writer.Open(operation.result_wrapper);
        EncodeStructure(*operation.output, output, writer);
        writer.Close(operation.result_wrapper);
    }
    writer.Open("ResponseMetadata");
    writer.Text("RequestId", request_id);
    writer.Close("ResponseMetadata");
    writer.Close(response);
    Answer answer;
    answer.headers.emplace_back("Content-Type", "text/xml");
    answer.headers.emplace_back("x-amzn-RequestId", std::string(request_id));
    answer.body = writer.Take();
    return answer;
}

}  // namespace hearth::aws::protocol
