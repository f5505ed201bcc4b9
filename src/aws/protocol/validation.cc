// The constraints that a model states, with the texts that AWS answers:
//   1 validation error detected: Value 'x!' at 'functionName' failed to satisfy constraint: Member
//   must satisfy regular expression pattern: [a-z]+
// Names go in lower camel case; elements are counted from one ("tags.1.member.key"); constraints of
// the scalars in a list or map are all listed, whichever of them failed.
#include "aws/protocol/errors.h"
#include "aws/protocol/protocol.h"
#include "aws/protocol/rest_xml.h"

#include <fmt/format.h>

#include <algorithm>

namespace hearth::aws::protocol {
namespace {

using model::Member;
using model::Service;
using model::Shape;
using model::ShapeType;

// A text from outside is not made longer without a bound by quoting it back.
constexpr size_t kErrorsMax = 50;
constexpr size_t kQuotedBytesMax = 8 * 1024;

// Characters, not bytes: AWS counts UTF-16 units; what lies beyond the first plane counts twice.
int64_t Utf16Length(std::string_view text) {
    int64_t length = 0;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        length += (byte & 0xc0) != 0x80;
        length += byte >= 0xf0;
    }
    return length;
}

std::string LowerFirst(std::string_view name) {
    std::string lower(name);
    if (!lower.empty() && lower[0] >= 'A' && lower[0] <= 'Z') {
        lower[0] = static_cast<char>(lower[0] - 'A' + 'a');
    }
    return lower;
}

bool IsScalar(const Shape& shape) {
    return shape.type != ShapeType::kList && shape.type != ShapeType::kMap &&
           shape.type != ShapeType::kStructure;
}

std::string Show(const Shape& shape, const void* value) {
    switch (shape.type) {
        case ShapeType::kString:
            return *static_cast<const std::string*>(value);
        case ShapeType::kInteger:
            return fmt::to_string(*static_cast<const int32_t*>(value));
        case ShapeType::kLong:
            return fmt::to_string(*static_cast<const int64_t*>(value));
        case ShapeType::kFloat:
        case ShapeType::kDouble:
            return fmt::format("{}", *static_cast<const double*>(value));
        case ShapeType::kBoolean:
            return *static_cast<const bool*>(value) ? "true" : "false";
        case ShapeType::kBlob:
            return fmt::format(
                "java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]",
                static_cast<const std::string*>(value)->size());
        case ShapeType::kList: {
            std::string text = "[";
            for (size_t i = 0; i < shape.list->size(value); ++i) {
                if (text.size() > kQuotedBytesMax) {
                    break;
                }
                text += (i == 0 ? "" : ", ") + Show(*shape.value, shape.list->at(value, i));
            }
            return text + "]";
        }
        case ShapeType::kMap: {
            struct Context {
                const Shape& shape;
                std::string text;
            } context{*shape.value, "{"};

            shape.map->each(value, &context, [](void* raw, std::string_view key, const void* item) {
                auto& [item_shape, text] = *static_cast<Context*>(raw);
                if (text.size() > kQuotedBytesMax) {
                    return;
                }
                text += fmt::format(
                    "{}{}={}", text.size() == 1 ? "" : ", ", key, Show(item_shape, item));
            });
            return context.text + "}";
        }
        case ShapeType::kTimestamp:
        case ShapeType::kStructure:
            break;
    }
    return std::string(shape.name);
}

class Validator final {
  public:
    explicit Validator(const Service& service)
        : not_null_(service.protocol == model::Protocol::kRestJson) {}

    void Structure(const Shape& shape, const std::string& path, const void* structure) {
        for (const Member& member : shape.members) {
            const void* value = member.Get(structure);
            if (value == nullptr && !member.required) {
                continue;
            }
            const std::string name = path.empty()
                                         ? LowerFirst(member.name)
                                         : fmt::format("{}.{}", path, LowerFirst(member.name));
            if (value == nullptr) {
                Add(fmt::format(
                    "Value null at '{}' failed to satisfy constraint: Member must not be null",
                    name));
            } else {
                Value(*member.shape, name, value);
            }
        }
    }

    bool ok() const { return count_ == 0; }

    std::string Message() const {
        return fmt::format(
            "{} validation error{} detected: {}", count_, count_ == 1 ? "" : "s", text_);
    }

  private:
    void Value(const Shape& shape, const std::string& path, const void* value) {
        switch (shape.type) {
            case ShapeType::kStructure:
                Structure(shape, path, value);
                return;
            case ShapeType::kList:
                Size(shape, path, value, static_cast<int64_t>(shape.list->size(value)));
                List(shape, path, value);
                return;
            case ShapeType::kMap:
                Size(shape, path, value, static_cast<int64_t>(shape.map->size(value)));
                Map(shape, path, value);
                return;
            default:
                for (const std::string& broken : Broken(shape, value)) {
                    AddValue(shape, path, value, broken);
                }
        }
    }

    // Which constraints a scalar breaks.
    static std::vector<std::string> Broken(const Shape& shape, const void* value) {
        std::vector<std::string> broken;
        switch (shape.type) {
            case ShapeType::kString: {
                const auto& text = *static_cast<const std::string*>(value);
                if (shape.min.has_value() || shape.max.has_value()) {
                    const int64_t length = Utf16Length(text);
                    if (shape.max.has_value() && length > *shape.max) {
                        broken.push_back(MaxLength(shape));
                    }
                    if (shape.min.has_value() && length < *shape.min) {
                        broken.push_back(MinLength(shape));
                    }
                }
                if (shape.pattern != nullptr && !shape.pattern->Matches(text)) {
                    broken.push_back(PatternText(shape));
                }
                if (!shape.enum_values.empty() &&
                    std::ranges::find(shape.enum_values, text) == shape.enum_values.end()) {
                    broken.push_back(EnumText(shape));
                }
                break;
            }
            case ShapeType::kBlob: {
                const auto size =
                    static_cast<int64_t>(static_cast<const std::string*>(value)->size());
                if (shape.max.has_value() && size > *shape.max) {
                    broken.push_back(MaxLength(shape));
                }
                if (shape.min.has_value() && size < *shape.min) {
                    broken.push_back(MinLength(shape));
                }
                break;
            }
            case ShapeType::kInteger:
                Range<int32_t>(shape, value, broken);
                break;
            case ShapeType::kLong:
                Range<int64_t>(shape, value, broken);
                break;
            case ShapeType::kFloat:
            case ShapeType::kDouble:
                Range<double>(shape, value, broken);
                break;
            default:
                break;
        }
        return broken;
    }

    template <class Number>
    static void Range(const Shape& shape, const void* value, std::vector<std::string>& broken) {
        const Number number = *static_cast<const Number*>(value);
        if (shape.max.has_value() && number > static_cast<Number>(*shape.max)) {
            broken.push_back(MaxValue(shape));
        }
        if (shape.min.has_value() && number < static_cast<Number>(*shape.min)) {
            broken.push_back(MinValue(shape));
        }
    }

    static std::string MaxLength(const Shape& shape) {
        return fmt::format("Member must have length less than or equal to {}", *shape.max);
    }

    static std::string MinLength(const Shape& shape) {
        return fmt::format("Member must have length greater than or equal to {}", *shape.min);
    }

    static std::string MaxValue(const Shape& shape) {
        return fmt::format(
            "Member must have value less than or equal to {}{}",
            *shape.max,
            shape.type == ShapeType::kDouble ? ".0" : "");
    }

    static std::string MinValue(const Shape& shape) {
        return fmt::format(
            "Member must have value greater than or equal to {}{}",
            *shape.min,
            shape.type == ShapeType::kDouble ? ".0" : "");
    }

    static std::string PatternText(const Shape& shape) {
        return fmt::format(
            "Member must satisfy regular expression pattern: {}", shape.pattern->text());
    }

    static std::string EnumText(const Shape& shape) {
        return fmt::format(
            "Member must satisfy enum value set: [{}]", fmt::join(shape.enum_values, ", "));
    }

    // Everything the model asks of a scalar inside a list or map, in AWS's order.
    std::string AllConstraints(const Shape& shape) const {
        std::vector<std::string> all;
        const bool number = shape.type == ShapeType::kInteger || shape.type == ShapeType::kLong ||
                            shape.type == ShapeType::kDouble || shape.type == ShapeType::kFloat;
        if (shape.max.has_value()) {
            all.push_back(number ? MaxValue(shape) : MaxLength(shape));
        }
        if (shape.min.has_value()) {
            all.push_back(number ? MinValue(shape) : MinLength(shape));
        }
        if (shape.pattern != nullptr) {
            all.push_back(PatternText(shape));
        }
        if (!shape.enum_values.empty()) {
            all.push_back(EnumText(shape));
        }
        if (not_null_) {
            all.emplace_back("Member must not be null");
        }
        return fmt::format("[{}]", fmt::join(all, ", "));
    }

    void Size(const Shape& shape, const std::string& path, const void* value, int64_t size) {
        if (shape.max.has_value() && size > *shape.max) {
            AddValue(shape, path, value, MaxLength(shape));
        }
        if (shape.min.has_value() && size < *shape.min) {
            AddValue(shape, path, value, MinLength(shape));
        }
    }

    void List(const Shape& shape, const std::string& path, const void* list) {
        const bool scalars = IsScalar(*shape.value);
        for (size_t i = 0; i < shape.list->size(list); ++i) {
            const void* element = shape.list->at(list, i);
            if (!scalars) {
                Value(*shape.value, fmt::format("{}.{}.member", path, i + 1), element);
            } else if (!Broken(*shape.value, element).empty()) {
                AddValue(
                    shape,
                    path,
                    list,
                    "Member must satisfy constraint: " + AllConstraints(*shape.value));
                return;
            }
            if (count_ >= kErrorsMax) {
                return;
            }
        }
    }

    void Map(const Shape& shape, const std::string& path, const void* map) {
        struct Context {
            Validator& validator;
            const Shape& shape;
            const std::string& path;
            bool broken_key = false;
            bool broken_value = false;
        } context{*this, shape, path};

        shape.map->each(map, &context, [](void* raw, std::string_view key, const void* item) {
            auto& c = *static_cast<Context*>(raw);
            const std::string key_text(key);
            c.broken_key = c.broken_key || !Broken(*c.shape.key, &key_text).empty();
            if (IsScalar(*c.shape.value)) {
                c.broken_value = c.broken_value || !Broken(*c.shape.value, item).empty();
            } else if (c.validator.count_ < kErrorsMax) {
                c.validator.Value(*c.shape.value, fmt::format("{}.{}.member", c.path, key), item);
            }
        });
        if (context.broken_key) {
            AddValue(
                shape,
                path,
                map,
                "Map keys must satisfy constraint: " + AllConstraints(*shape.key));
        }
        if (context.broken_value) {
            AddValue(
                shape,
                path,
                map,
                "Map value must satisfy constraint: " + AllConstraints(*shape.value));
        }
    }

    void AddValue(
        const Shape& shape,
        const std::string& path,
        const void* value,
        const std::string& constraint) {
        const bool hidden = shape.sensitive || (shape.value != nullptr && shape.value->sensitive);
        if (hidden) {
            Add(fmt::format("Value at '{}' failed to satisfy constraint: {}", path, constraint));
        } else {
            Add(fmt::format(
                "Value '{}' at '{}' failed to satisfy constraint: {}",
                Show(shape, value).substr(0, kQuotedBytesMax),
                path,
                constraint));
        }
    }

    void Add(const std::string& error) {
        if (count_ >= kErrorsMax) {
            return;
        }
        if (count_++ > 0) {
            text_ += "; ";
        }
        text_ += error;
    }

    const bool not_null_;
    size_t count_ = 0;
    std::string text_;
};

}  // namespace

Status ValidateInput(const Service& service, const Shape& shape, const void* input) {
    if (service.protocol == model::Protocol::kRestXml) {
        return ValidateRestXml(shape, input);
    }
    Validator validator(service);
    validator.Structure(shape, "", input);
    if (!validator.ok()) {
        return errors::Validation(service, validator.Message());
    }
    return {};
}

}  // namespace hearth::aws::protocol
