#pragma once

#include "base/result.h"
#include "codec/json/json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

// One leaf of an event pattern: the list of matchers that a scalar of the event may satisfy.
namespace hearth::codec::internal {

// An address in the form of IPv6, IPv4 mapped; empty when `text` is none. Compares as bytes.
std::optional<std::string> ParseAddress(std::string_view text);

// Unicode's simple case folding for ASCII, Latin, Greek and Cyrillic letters; what else there is
// has one case here.
std::string FoldCase(std::string_view text);

// "*" matches any run of bytes; "\*" and "\\" are themselves.
class Wildcard final {
  public:
    //   errors  Malformed, with AWS's words
    static Result<Wildcard> Compile(std::string_view pattern);

    // In one pass: the pieces between the stars are looked for one after the other.
    bool Matches(std::string_view text) const;

  private:
    std::vector<std::string> pieces_;
};

class LeafMatcher final {
  public:
    //   errors  Malformed, with AWS's words
    static Result<LeafMatcher> Compile(const Json::Array& list);

    bool MatchesScalar(const Json& value) const;

    // {"exists": false} is among them: nothing at this place matches, too.
    bool matches_absence() const { return absence_; }

  private:
    // What numbers are compared by: millionths, from -5,000,000,000 on. Beyond ±5e9 there is none.
    using Comparable = int64_t;

    struct NumericRange {
        Comparable bottom = 0;
        Comparable top = 0;
        bool open_bottom = false;
        bool open_top = false;
    };

    struct AddressRange {
        std::string first;
        std::string last;
    };

    struct Text {
        std::string text;
        bool ignore_case = false;
    };

    // Everything but these.
    struct AnythingBut {
        std::unordered_set<std::string> strings;
        std::unordered_set<std::string> folded;
        std::unordered_set<Comparable> numbers;
        std::vector<std::string> prefixes;
        std::vector<std::string> suffixes;
        std::vector<Wildcard> wildcards;
    };

    static std::optional<Comparable> ToComparable(const Json& value);
    static Result<Comparable> NumberOf(const Json& value, std::string_view what);
    static Result<NumericRange> CompileNumeric(const Json& value);
    static Result<AnythingBut> CompileAnythingBut(const Json& value);
    static Result<AddressRange> CompileCidr(const Json& value);
    Status AddExpression(const Json::Object& expression);
    void AddLiteral(const Json& value);
    bool MatchesString(const std::string& text) const;
    bool MatchesNumber(const Json& value) const;

    bool absence_ = false;
    bool presence_ = false;
    bool null_ = false;
    bool true_ = false;
    bool false_ = false;
    std::unordered_set<std::string> strings_;
    std::unordered_set<std::string> folded_;
    std::unordered_set<std::string> addresses_;
    std::unordered_set<Comparable> numbers_;
    // Those that have no Comparable, such as ids of accounts.
    std::vector<Json> large_numbers_;
    std::vector<Text> prefixes_;
    std::vector<Text> suffixes_;
    std::vector<NumericRange> ranges_;
    std::vector<AddressRange> networks_;
    std::vector<Wildcard> wildcards_;
    std::vector<AnythingBut> anything_but_;
};

}  // namespace hearth::codec::internal
