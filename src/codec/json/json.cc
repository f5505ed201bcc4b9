#include "codec/json/json.h"

#include <boost/json/basic_parser_impl.hpp>
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

namespace hearth::codec {
namespace {

// Builds a Json from the events of Boost.JSON's parser, on a stack of its own.
class Builder final {
  public:
    using error_code = boost::json::error_code;
    using string_view = boost::json::string_view;

    static constexpr size_t max_object_size = std::numeric_limits<size_t>::max();
    static constexpr size_t max_array_size = std::numeric_limits<size_t>::max();
    static constexpr size_t max_key_size = std::numeric_limits<size_t>::max();
    static constexpr size_t max_string_size = std::numeric_limits<size_t>::max();

    explicit Builder(size_t values_max) : values_max_(values_max) {}

    bool on_document_begin(error_code&) { return true; }

    bool on_document_end(error_code&) { return true; }

    bool on_object_begin(error_code& ec) { return Begin(Json(Json::Object()), ec); }

    bool on_array_begin(error_code& ec) { return Begin(Json(Json::Array()), ec); }

    bool on_object_end(size_t, error_code&) { return End(); }

    bool on_array_end(size_t, error_code&) { return End(); }

    bool on_key_part(string_view part, size_t, error_code&) {
        text_.append(part.data(), part.size());
        return true;
    }

    bool on_key(string_view part, size_t, error_code&) {
        text_.append(part.data(), part.size());
        open_.back().key = std::move(text_);
        text_.clear();
        return true;
    }

    bool on_string_part(string_view part, size_t, error_code&) {
        text_.append(part.data(), part.size());
        return true;
    }

    bool on_string(string_view part, size_t, error_code& ec) {
        if (text_.empty()) {
            return Add(Json(std::string(part.data(), part.size())), ec);
        }
        text_.append(part.data(), part.size());
        Json value(std::move(text_));
        text_.clear();
        return Add(std::move(value), ec);
    }

    bool on_number_part(string_view part, error_code&) {
        text_.append(part.data(), part.size());
        return true;
    }

    bool on_int64(int64_t value, string_view, error_code& ec) {
        text_.clear();
        return Add(Json(value), ec);
    }

    bool on_uint64(uint64_t value, string_view, error_code& ec) {
        text_.clear();
        return Add(Json(value), ec);
    }

    // The parser's own value can be off by one unit in the last place, so the text is read again.
    bool on_double(double rounded, string_view part, error_code& ec) {
        text_.append(part.data(), part.size());
        double value = rounded;
        std::from_chars(text_.data(), text_.data() + text_.size(), value);
        text_.clear();
        if (!std::isfinite(value) || !std::isfinite(rounded)) {
            ec = boost::json::error::exponent_overflow;
            return false;
        }
        return Add(Json(value), ec);
    }

    bool on_bool(bool value, error_code& ec) { return Add(Json(value), ec); }

    bool on_null(error_code& ec) { return Add(Json(), ec); }

    bool on_comment_part(string_view, error_code&) { return true; }

    bool on_comment(string_view, error_code&) { return true; }

    Json Take() { return std::move(root_); }

  private:
    struct Open {
        Json value;
        std::string key;
    };

    bool Begin(Json value, error_code& ec) {
        if (!Count(ec)) {
            return false;
        }
        open_.push_back({std::move(value), {}});
        return true;
    }

    bool End() {
        Json done = std::move(open_.back().value);
        open_.pop_back();
        Place(std::move(done));
        return true;
    }

    bool Add(Json value, error_code& ec) {
        if (!Count(ec)) {
            return false;
        }
        Place(std::move(value));
        return true;
    }

    bool Count(error_code& ec) {
        if (++values_ > values_max_) {
            ec = boost::json::error::array_too_large;
            return false;
        }
        return true;
    }

    void Place(Json value) {
        if (open_.empty()) {
            root_ = std::move(value);
            return;
        }
        Open& parent = open_.back();
        if (Json::Array* array = parent.value.AsArray()) {
            array->push_back(std::move(value));
        } else {
            parent.value.AsObject()->push_back({std::move(parent.key), std::move(value)});
            parent.key.clear();
        }
    }

    size_t values_max_;
    size_t values_ = 0;
    std::string text_;
    std::vector<Open> open_;
    Json root_;
};

// How many bytes the UTF-8 sequence at the front takes; 0 when there is no valid one.
size_t Utf8Length(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const auto continues = [&](size_t i, uint8_t low, uint8_t high) {
        return i < text.size() && byte(i) >= low && byte(i) <= high;
    };
    const uint8_t first = byte(0);
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        return continues(1, 0x80, 0xbf) ? 2 : 0;
    }
    if (first >= 0xe0 && first <= 0xef) {
        const uint8_t low = first == 0xe0 ? 0xa0 : 0x80;
        const uint8_t high = first == 0xed ? 0x9f : 0xbf;
        return continues(1, low, high) && continues(2, 0x80, 0xbf) ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        const uint8_t low = first == 0xf0 ? 0x90 : 0x80;
        const uint8_t high = first == 0xf4 ? 0x8f : 0xbf;
        return continues(1, low, high) && continues(2, 0x80, 0xbf) && continues(3, 0x80, 0xbf) ? 4
                                                                                               : 0;
    }
    return 0;
}

bool IsPlain(char c) {
    const auto byte = static_cast<uint8_t>(c);
    return byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\';
}

}  // namespace

Json::Json() = default;
Json::Json(const Json& other) = default;
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(const Json& other) = default;
Json& Json::operator=(Json&& other) noexcept = default;
Json::~Json() = default;

Json::Json(bool value) : value_(value) {}

Json::Json(int value) : value_(int64_t{value}) {}

Json::Json(int64_t value) : value_(value) {}

Json::Json(double value) : value_(value) {}

Json::Json(const char* value) : value_(std::string(value)) {}

Json::Json(std::string_view value) : value_(std::string(value)) {}

Json::Json(std::string value) : value_(std::move(value)) {}

Json::Json(uint64_t value) {
    if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        value_ = static_cast<int64_t>(value);
    } else {
        value_ = value;
    }
}

Json::Json(Array value) : value_(std::move(value)) {}

Json::Json(Object value) : value_(std::move(value)) {}

const Json::Array* Json::AsArray() const {
    return std::get_if<Array>(&value_);
}

const Json::Object* Json::AsObject() const {
    return std::get_if<Object>(&value_);
}

Json::Array* Json::AsArray() {
    return std::get_if<Array>(&value_);
}

Json::Object* Json::AsObject() {
    return std::get_if<Object>(&value_);
}

bool Json::operator==(const Json& other) const {
    return value_ == other.value_;
}

const Json* Json::Find(std::string_view name) const {
    const Object* object = AsObject();
    if (object == nullptr) {
        return nullptr;
    }
    for (size_t i = object->size(); i > 0; --i) {
        if ((*object)[i - 1].name == name) {
            return &(*object)[i - 1].value;
        }
    }
    return nullptr;
}

const std::string* Json::FindString(std::string_view name) const {
    const Json* found = Find(name);
    return found == nullptr ? nullptr : found->AsString();
}

Json& Json::Set(std::string name, Json value) {
    if (is_null()) {
        value_ = Object();
    }
    Object& object = *AsObject();
    for (Member& member : object) {
        if (member.name == name) {
            member.value = std::move(value);
            return *this;
        }
    }
    object.push_back({std::move(name), std::move(value)});
    return *this;
}

Result<Json> ParseJson(std::string_view text, const JsonLimits& limits) {
    boost::json::parse_options options;
    options.max_depth = limits.depth_max;
    boost::json::basic_parser<Builder> parser(options, limits.values_max);
    boost::json::error_code ec;
    const size_t read = parser.write_some(false, text.data(), text.size(), ec);
    if (ec) {
        return errors::Malformed(fmt::format("JSON: {} at byte {}", ec.message(), read));
    }
    if (read != text.size()) {
        return errors::Malformed(fmt::format("JSON: more text behind the value at byte {}", read));
    }
    return parser.handler().Take();
}

void AppendJsonString(std::string& out, std::string_view text) {
    out.push_back('"');
    while (!text.empty()) {
        size_t plain = 0;
        while (plain < text.size() && IsPlain(text[plain])) {
            ++plain;
        }
        out.append(text.substr(0, plain));
        text.remove_prefix(plain);
        if (text.empty()) {
            break;
        }
        const char c = text.front();
        size_t used = 1;
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                used = Utf8Length(text);
                if (used == 1) {
                    fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<uint8_t>(c));
                } else if (used == 0) {
                    out += "\xef\xbf\xbd";
                    used = 1;
                } else {
                    out.append(text.substr(0, used));
                }
        }
        text.remove_prefix(used);
    }
    out.push_back('"');
}

void JsonWriter::Key(std::string_view name) {
    Comma();
    AppendJsonString(out_, name);
    out_.push_back(':');
    comma_ = false;
}

void JsonWriter::String(std::string_view value) {
    Comma();
    AppendJsonString(out_, value);
}

void JsonWriter::Int(int64_t value) {
    Comma();
    fmt::format_to(std::back_inserter(out_), "{}", value);
}

void JsonWriter::Uint(uint64_t value) {
    Comma();
    fmt::format_to(std::back_inserter(out_), "{}", value);
}

void JsonWriter::Double(double value) {
    if (!std::isfinite(value)) {
        String(std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
        return;
    }
    Comma();
    if (value == 0 && std::signbit(value)) {
        // "-0" would come back as the integer 0.
        out_ += "-0.0";
        return;
    }
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
    out_.append(buffer, end);
}

void JsonWriter::Bool(bool value) {
    Comma();
    out_ += value ? "true" : "false";
}

void JsonWriter::Null() {
    Comma();
    out_ += "null";
}

void JsonWriter::Raw(std::string_view json) {
    Comma();
    out_.append(json);
}

void JsonWriter::Value(const Json& value) {
    if (const bool* boolean = value.AsBool()) {
        Bool(*boolean);
    } else if (const int64_t* integer = value.AsInt()) {
        Int(*integer);
    } else if (const uint64_t* unsigned_integer = value.AsUint()) {
        Uint(*unsigned_integer);
    } else if (const double* number = value.AsDouble()) {
        Double(*number);
    } else if (const std::string* string = value.AsString()) {
        String(*string);
    } else if (const Json::Array* array = value.AsArray()) {
        BeginArray();
        for (const Json& element : *array) {
            Value(element);
        }
        EndArray();
    } else if (const Json::Object* object = value.AsObject()) {
        BeginObject();
        for (const Json::Member& member : *object) {
            Key(member.name);
            Value(member.value);
        }
        EndObject();
    } else {
        Null();
    }
}

std::string WriteJson(const Json& value) {
    JsonWriter writer;
    writer.Value(value);
    return writer.Take();
}

}  // namespace hearth::codec
