#pragma once

#include "base/result.h"
#include "codec/json/json.h"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Reads one JSON object whose members are known: an unknown member, a value of a wrong type, a
// member that must be there and is not are errors, with the texts that clients of Firecracker know
// ("missing field `vcpu_count`"). Reading goes on after an error; status() tells the first.
namespace hearth::vmm {

class JsonReader final {
  public:
    // `structure` names the object in errors; `fields` are all members it may have.
    JsonReader(
        const codec::Json& value,
        std::string_view structure,
        std::initializer_list<std::string_view> fields);

    bool Has(std::string_view name) const { return Member(name) != nullptr; }

    // Must be there.
    std::string String(std::string_view name);
    bool Bool(std::string_view name);
    std::uint64_t Unsigned(std::string_view name, std::uint64_t max, std::string_view type);
    const codec::Json* Value(std::string_view name);

    // Nothing when it is not there, or null.
    std::optional<std::string> OptionalString(std::string_view name);
    std::optional<bool> OptionalBool(std::string_view name);
    std::optional<std::uint64_t> OptionalUnsigned(
        std::string_view name, std::uint64_t max, std::string_view type);
    std::optional<std::vector<std::string>> OptionalStrings(std::string_view name);

    const codec::Json* OptionalValue(std::string_view name) const { return Member(name); }

    // The index of the variant, which must be one of `variants`.
    std::optional<std::size_t> OptionalVariant(
        std::string_view name, std::span<const std::string_view> variants);
    std::size_t Variant(std::string_view name, std::span<const std::string_view> variants);

    // Takes the error of a nested object.
    void Fail(const Error& error);
    void Fail(std::string message);

    Status status() const;

  private:
    const codec::Json* Member(std::string_view name) const;
    void WrongType(const codec::Json& found, std::string_view expected);
    void Missing(std::string_view name);

    const codec::Json& value_;
    std::optional<std::string> error_;
    std::optional<std::string> missing_;
};

// "An error occurred when deserializing the json body of a request: <why>."
Error BodyFault(std::string_view why);

// A body's JSON.
Result<codec::Json> ParseBody(std::string_view text);

}  // namespace hearth::vmm
