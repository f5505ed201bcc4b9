#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

// JSON texts as values, and a writer that needs no value. Strict RFC 8259 input in valid UTF-8;
// output is compact, keeps the order of members, and writes integers exactly and doubles shortest.
namespace hearth::codec {

// Boundaries for texts from outside.
struct JsonLimits {
    size_t depth_max = 100;
    size_t values_max = 1'000'000;
};

class Json final {
  public:
    struct Member;
    using Array = std::vector<Json>;
    // In the order of the text; where a name repeats, the last one counts.
    using Object = std::vector<Member>;

    Json();
    Json(const Json& other);
    Json(Json&& other) noexcept;
    Json& operator=(const Json& other);
    Json& operator=(Json&& other) noexcept;
    ~Json();

    Json(bool value);
    Json(int value);
    Json(int64_t value);
    // Beyond int64_t only; smaller values become int64_t.
    Json(uint64_t value);
    Json(double value);
    Json(const char* value);
    Json(std::string_view value);
    Json(std::string value);
    Json(Array value);
    Json(Object value);

    bool is_null() const { return std::holds_alternative<std::monostate>(value_); }

    bool is_array() const { return std::holds_alternative<Array>(value_); }

    bool is_object() const { return std::holds_alternative<Object>(value_); }

    bool is_string() const { return std::holds_alternative<std::string>(value_); }

    bool is_number() const {
        return AsInt() != nullptr || AsUint() != nullptr || AsDouble() != nullptr;
    }

    // The value when it is of that kind, else nullptr.
    const bool* AsBool() const { return std::get_if<bool>(&value_); }

    const int64_t* AsInt() const { return std::get_if<int64_t>(&value_); }

    const uint64_t* AsUint() const { return std::get_if<uint64_t>(&value_); }

    const double* AsDouble() const { return std::get_if<double>(&value_); }

    const std::string* AsString() const { return std::get_if<std::string>(&value_); }

    const Array* AsArray() const;
    const Object* AsObject() const;

    std::string* AsString() { return std::get_if<std::string>(&value_); }

    Array* AsArray();
    Object* AsObject();

    // The member of an object; nullptr when it is not there or this is no object.
    const Json* Find(std::string_view name) const;
    // The string of that member; nullptr when it is no string.
    const std::string* FindString(std::string_view name) const;

    // Sets or replaces a member; a null value becomes an object.
    Json& Set(std::string name, Json value);

    bool operator==(const Json& other) const;

  private:
    std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, Array, Object>
        value_;
};

struct Json::Member {
    std::string name;
    Json value;

    bool operator==(const Member&) const = default;
};

//   errors  Malformed, with the place: not JSON, not UTF-8, too deep or too many values, a number
//           beyond a double.
Result<Json> ParseJson(std::string_view text, const JsonLimits& limits = {});

std::string WriteJson(const Json& value);

// A string in quotes, as JSON. Bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(std::string& out, std::string_view text);

// Writes a text piece by piece; commas come by themselves. The caller closes what it opens.
//   JsonWriter w; w.BeginObject(); w.Key("a"); w.Int(1); w.EndObject(); w.Take()
class JsonWriter final {
  public:
    void BeginObject() { Open('{'); }

    void EndObject() { Close('}'); }

    void BeginArray() { Open('['); }

    void EndArray() { Close(']'); }

    void Key(std::string_view name);
    void String(std::string_view value);
    void Int(int64_t value);
    void Uint(uint64_t value);
    // Infinities and NaN, which JSON does not have, become the strings "Infinity", "-Infinity",
    // "NaN".
    void Double(double value);
    void Bool(bool value);
    void Null();
    // Text that is JSON already.
    void Raw(std::string_view json);
    void Value(const Json& value);

    std::string Take() { return std::move(out_); }

  private:
    void Comma() {
        if (comma_) {
            out_.push_back(',');
        }
        comma_ = true;
    }

    void Open(char bracket) {
        Comma();
        out_.push_back(bracket);
        comma_ = false;
    }

    void Close(char bracket) {
        out_.push_back(bracket);
        comma_ = true;
    }

    std::string out_;
    bool comma_ = false;
};

}  // namespace hearth::codec
