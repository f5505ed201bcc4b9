#include "aws/protocol/event_stream.h"

#include "aws/protocol/json.h"
#include "base/check.h"
#include "codec/event_stream/event_stream.h"

#include <string_view>
#include <vector>

namespace hearth::aws::protocol {

namespace {

using model::Member;
using model::Shape;
using model::ShapeType;

std::string Encode(std::string_view name, std::string_view content_type, std::string_view payload) {
    std::vector<codec::EventHeader> headers;
    headers.push_back({.name = ":event-type", .text = std::string(name)});
    headers.push_back({.name = ":content-type", .text = std::string(content_type)});
    headers.push_back({.name = ":message-type", .text = "event"});
    std::string message;
    codec::AppendEvent(message, headers, payload);
    return message;
}

}  // namespace

std::string EncodeEvent(const Shape& stream, const void* events) {
    CHECK_REQUEST(stream.event_stream, "not an event stream");
    for (const Member& kind : stream.members) {
        const void* event = kind.Get(events);
        if (event == nullptr) {
            continue;
        }
        for (const Member& member : kind.shape->members) {
            if (!member.event_payload) {
                continue;
            }
            const void* payload = member.Get(event);
            if (member.shape->type == ShapeType::kBlob ||
                member.shape->type == ShapeType::kString) {
                return Encode(
                    kind.wire_name,
                    member.shape->type == ShapeType::kBlob ? "application/octet-stream"
                                                           : "text/plain",
                    payload == nullptr ? std::string_view()
                                       : *static_cast<const std::string*>(payload));
            }
            codec::JsonWriter writer;
            EncodeJsonStructure(*member.shape, payload, writer);
            return Encode(kind.wire_name, "application/json", writer.Take());
        }
        codec::JsonWriter writer;
        EncodeJsonStructure(*kind.shape, event, writer);
        return Encode(kind.wire_name, "application/json", writer.Take());
    }
    CHECK_REQUEST(false, "an event without a kind");
    return {};
}

}  // namespace hearth::aws::protocol
