#include "aws/protocol/rest_xml_body.h"

#include "aws/protocol/rest_xml_errors.h"
#include "aws/protocol/scalars.h"
#include "aws/protocol/xml_reader.h"
#include "codec/timestamp/timestamp.h"

#include <array>

namespace hearth::aws::protocol {
namespace {

using model::Location;
using model::Member;
using model::Shape;
using model::ShapeType;
using model::TimestampFormat;
using Event = XmlReader::Event;

std::string_view LocalName(std::string_view name) {
    const size_t colon = name.rfind(':');
    return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

std::string_view Trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    const size_t begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

TimestampFormat FormatOf(const Member* member, const Shape& shape) {
    if (member != nullptr && member->timestamp_format != TimestampFormat::kDefault) {
        return member->timestamp_format;
    }
    return shape.timestamp_format != TimestampFormat::kDefault ? shape.timestamp_format
                                                               : TimestampFormat::kIso8601;
}

// Walks a shape along the elements of a document. Unknown elements end it, so that it never goes
// deeper than the shape.
class Decoder final {
  public:
    explicit Decoder(std::string_view document) : reader_(document) {}

    Status Document(std::string_view root, const Shape& shape, void* out) {
        HEARTH_TRY(const Event first, reader_.Next());
        if (first != Event::kStart || reader_.name() != root) {
            return hearth::errors::Malformed("another root");
        }
        HEARTH_RETURN_IF_ERROR(Structure(shape, out));
        HEARTH_TRY(const Event last, reader_.Next());
        if (last != Event::kFinished) {
            return hearth::errors::Malformed("more than the root");
        }
        return {};
    }

  private:
    // The start tag was read.
    Status Structure(const Shape& shape, void* out) {
        for (const Member& member : shape.members) {
            if (!member.xml_attribute) {
                continue;
            }
            if (const std::string* value = reader_.Attribute(LocalName(member.wire_name))) {
                HEARTH_RETURN_IF_ERROR(Text(&member, *member.shape, *value, member.Emplace(out)));
            }
        }
        for (;;) {
            HEARTH_TRY(const Event event, reader_.Next());
            if (event == Event::kEnd) {
                return {};
            }
            if (event == Event::kText) {
                HEARTH_RETURN_IF_ERROR(OnlyBlanks());
                continue;
            }
            const Member* member = FindElement(shape, reader_.name());
            if (event != Event::kStart || member == nullptr) {
                return hearth::errors::Malformed("an unknown element");
            }
            HEARTH_RETURN_IF_ERROR(MemberElement(*member, out));
        }
    }

    static const Member* FindElement(const Shape& shape, std::string_view name) {
        for (const Member& member : shape.members) {
            if (member.location == Location::kBody && !member.xml_attribute &&
                member.wire_name == name) {
                return &member;
            }
        }
        return nullptr;
    }

    Status MemberElement(const Member& member, void* out) {
        const void* present = member.Get(out);
        if (member.shape->type == ShapeType::kList && member.shape->flattened) {
            void* list = present == nullptr ? member.Emplace(out) : const_cast<void*>(present);
            return Value(&member, *member.shape->value, member.shape->list->append(list));
        }
        if (present != nullptr) {
            return hearth::errors::Malformed("an element given twice");
        }
        return Value(&member, *member.shape, member.Emplace(out));
    }

    Status Value(const Member* member, const Shape& shape, void* out) {
        switch (shape.type) {
            case ShapeType::kStructure:
                return Structure(shape, out);
            case ShapeType::kList:
                return List(shape, out);
            case ShapeType::kMap:
                return hearth::errors::Malformed("a map, which no body of S3 has");
            default:
                break;
        }
        std::string text;
        for (;;) {
            HEARTH_TRY(const Event event, reader_.Next());
            if (event == Event::kEnd) {
                return Text(member, shape, text, out);
            }
            if (event != Event::kText) {
                return hearth::errors::Malformed("an element inside of a value");
            }
            text += reader_.text();
        }
    }

    Status List(const Shape& shape, void* out) {
        for (;;) {
            HEARTH_TRY(const Event event, reader_.Next());
            if (event == Event::kEnd) {
                return {};
            }
            if (event == Event::kText) {
                HEARTH_RETURN_IF_ERROR(OnlyBlanks());
                continue;
            }
            if (event != Event::kStart || reader_.name() != shape.element_name) {
                return hearth::errors::Malformed("an unknown element in a list");
            }
            HEARTH_RETURN_IF_ERROR(Value(nullptr, *shape.value, shape.list->append(out)));
        }
    }

    static Status Text(const Member* member, const Shape& shape, std::string_view text, void* out) {
        if (shape.type == ShapeType::kString) {
            return ParseScalar(shape, TimestampFormat::kDefault, text, out);
        }
        const TimestampFormat format = FormatOf(member, shape);
        const std::string_view trimmed = Trimmed(text);
        // Lifecycle rules may be given with a day alone.
        if (shape.type == ShapeType::kTimestamp && format == TimestampFormat::kIso8601 &&
            trimmed.size() == std::string_view("2026-01-31").size()) {
            return ParseScalar(shape, format, std::string(trimmed) + "T00:00:00Z", out);
        }
        return ParseScalar(shape, format, trimmed, out);
    }

    Status OnlyBlanks() const {
        if (!Trimmed(reader_.text()).empty()) {
            return hearth::errors::Malformed("text between elements");
        }
        return {};
    }

    XmlReader reader_;
};

class Encoder final {
  public:
    Encoder() : writer_(XmlWriter::Controls::kReferenced) { writer_.Declaration(); }

    void Structure(const Shape& shape, const void* structure) {
        for (const Member& member : shape.members) {
            const void* value = member.Get(structure);
            if (value == nullptr || member.location != Location::kBody || member.xml_attribute) {
                continue;
            }
            if (member.shape->type == ShapeType::kList && member.shape->flattened) {
                const Shape& list = *member.shape;
                for (size_t i = 0; i < list.list->size(value); ++i) {
                    if (member.wire_name.empty()) {
                        // A list without a name: its items stand under the names of what they hold,
                        // so that elements of two kinds keep their order.
                        Structure(*list.value, list.list->at(value, i));
                        continue;
                    }
                    Element(&member, member.wire_name, *list.value, list.list->at(value, i));
                }
            } else {
                Element(&member, member.wire_name, *member.shape, value);
            }
        }
    }

    XmlWriter& writer() { return writer_; }

    static std::string Scalar(const Member* member, const Shape& shape, const void* value) {
        const TimestampFormat format = FormatOf(member, shape);
        if (shape.type == ShapeType::kTimestamp && format == TimestampFormat::kIso8601) {
            return codec::FormatIso8601(*static_cast<const WallClock::time_point*>(value), true);
        }
        return FormatScalar(shape, format, value);
    }

  private:
    void Element(
        const Member* member, std::string_view name, const Shape& shape, const void* value) {
        switch (shape.type) {
            case ShapeType::kStructure:
                OpenStructure(name, shape, value);
                Structure(shape, value);
                break;
            case ShapeType::kList:
                writer_.Open(name);
                for (size_t i = 0; i < shape.list->size(value); ++i) {
                    Element(nullptr, shape.element_name, *shape.value, shape.list->at(value, i));
                }
                break;
            case ShapeType::kString:
                writer_.Text(name, *static_cast<const std::string*>(value));
                return;
            default:
                writer_.Text(name, Scalar(member, shape, value));
                return;
        }
        writer_.Close(name);
    }

    void OpenStructure(std::string_view name, const Shape& shape, const void* structure) {
        if (shape.xml_prefix.empty()) {
            writer_.Open(name);
            return;
        }
        const std::string declaration = "xmlns:" + std::string(shape.xml_prefix);
        std::vector<std::pair<std::string_view, std::string_view>> attributes = {
            {declaration, shape.xml_prefix_uri}};
        // Attributes are strings in all models that we have.
        for (const Member& member : shape.members) {
            const void* value = member.Get(structure);
            if (member.xml_attribute && value != nullptr) {
                attributes.emplace_back(member.wire_name, *static_cast<const std::string*>(value));
            }
        }
        writer_.OpenWith(name, attributes);
    }

    XmlWriter writer_;
};

}  // namespace

Status DecodeXmlBody(std::string_view body, std::string_view root, const Shape& shape, void* out) {
    if (!Decoder(body).Document(root, shape, out).ok()) {
        return errors::MalformedXml();
    }
    return {};
}

std::string EncodeXmlBody(
    std::string_view root,
    std::string_view xml_namespace,
    const Shape& shape,
    const void* structure) {
    Encoder encoder;
    encoder.writer().Open(root, xml_namespace);
    encoder.Structure(shape, structure);
    encoder.writer().Close(root);
    return encoder.writer().Take();
}

std::string EncodeXmlScalarBody(
    std::string_view root, std::string_view xml_namespace, const Shape& shape, const void* value) {
    Encoder encoder;
    encoder.writer().Open(root, xml_namespace);
    if (value != nullptr) {
        encoder.writer().Content(Encoder::Scalar(nullptr, shape, value));
    }
    encoder.writer().Close(root);
    return encoder.writer().Take();
}

}  // namespace hearth::aws::protocol
