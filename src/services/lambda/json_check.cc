#include "services/lambda/json_check.h"

#include <fmt/format.h>

#include <cctype>
#include <vector>

namespace hearth::lambda {
namespace {

constexpr size_t kDepthMax = 1'000;

bool IsTokenCharacter(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
           static_cast<unsigned char>(c) >= 0x80;
}

class Checker final {
  public:
    explicit Checker(std::string_view text) : text_(text) {}

    JsonCheck Run() {
        if (!Values()) {
            return {false, problem_};
        }
        return {};
    }

  private:
    bool AtEnd() const { return at_ == text_.size(); }

    void SkipSpace() {
        while (!AtEnd() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' ||
                            text_[at_] == '\r')) {
            ++at_;
        }
    }

    bool Fail(std::string what) {
        // Jackson counts lines and columns from 1.
        size_t line = 1;
        size_t column = 1;
        for (size_t i = 0; i < at_ && i < text_.size(); ++i) {
            if (text_[i] == '\n') {
                ++line;
                column = 1;
            } else {
                ++column;
            }
        }
        problem_ = fmt::format("{}\n at [line: {}, column: {}]", what, line, column);
        return false;
    }

    bool Unexpected(std::string_view expected) {
        if (AtEnd()) {
            return Fail("Unexpected end-of-input");
        }
        const auto c = static_cast<unsigned char>(text_[at_]);
        return Fail(fmt::format(
            "Unexpected character ('{}' (code {})): {}", text_.substr(at_, 1), c, expected));
    }

    // The whole text: one value with everything inside, without recursion.
    bool Values() {
        std::vector<char> open;
        bool want_value = true;
        for (;;) {
            SkipSpace();
            if (want_value) {
                if (AtEnd()) {
                    return Fail(
                        text_.empty() ? "No content to map due to end-of-input"
                                      : "Unexpected end-of-input");
                }
                const char c = text_[at_];
                if (c == '{' || c == '[') {
                    if (open.size() == kDepthMax) {
                        return Fail(fmt::format(
                            "Document nesting depth ({}) exceeds the maximum allowed ({})",
                            kDepthMax + 1,
                            kDepthMax));
                    }
                    ++at_;
                    open.push_back(c == '{' ? '}' : ']');
                    SkipSpace();
                    if (!AtEnd() && text_[at_] == open.back()) {
                        ++at_;
                        open.pop_back();
                        want_value = false;
                        continue;
                    }
                    if (c == '{' && !Key()) {
                        return false;
                    }
                    continue;
                }
                if (!Scalar()) {
                    return false;
                }
                want_value = false;
                continue;
            }
            if (open.empty()) {
                return AtEnd() || Unexpected("Expected end of input");
            }
            if (AtEnd()) {
                return Fail("Unexpected end-of-input: expected close marker");
            }
            const char c = text_[at_];
            if (c == open.back()) {
                ++at_;
                open.pop_back();
            } else if (c == ',') {
                ++at_;
                SkipSpace();
                if (open.back() == '}' && !Key()) {
                    return false;
                }
                want_value = true;
            } else {
                return Unexpected(
                    open.back() == '}' ? "was expecting comma to separate Object entries"
                                       : "was expecting comma to separate Array entries");
            }
        }
    }

    bool Key() {
        if (AtEnd() || text_[at_] != '"') {
            return Unexpected("was expecting double-quote to start field name");
        }
        if (!String()) {
            return false;
        }
        SkipSpace();
        if (AtEnd() || text_[at_] != ':') {
            return Unexpected("was expecting a colon to separate field name and value");
        }
        ++at_;
        return true;
    }

    bool Scalar() {
        const char c = text_[at_];
        if (c == '"') {
            return String();
        }
        if (c == '-' || (c >= '0' && c <= '9')) {
            return Number();
        }
        if (!IsTokenCharacter(c)) {
            return Unexpected(
                "expected a valid value (JSON String, Number, Array, Object or token 'null', "
                "'true' "
                "or 'false')");
        }
        const size_t start = at_;
        while (!AtEnd() && IsTokenCharacter(text_[at_])) {
            ++at_;
        }
        const std::string_view token = text_.substr(start, at_ - start);
        if (token == "true" || token == "false" || token == "null") {
            return true;
        }
        return Fail(fmt::format(
            "Unrecognized token '{}': was expecting (JSON String, Number, Array, Object or token "
            "'null', 'true' or 'false')",
            token.substr(0, 256)));
    }

    bool String() {
        ++at_;
        while (!AtEnd()) {
            const char c = text_[at_];
            if (c == '"') {
                ++at_;
                return true;
            }
            if (static_cast<unsigned char>(c) < 0x20) {
                return Fail(fmt::format(
                    "Illegal unquoted character ((CTRL-CHAR, code {})): has to be escaped using "
                    "backslash to be included in string value",
                    static_cast<int>(c)));
            }
            if (static_cast<unsigned char>(c) >= 0x80) {
                if (!Utf8()) {
                    return false;
                }
                continue;
            }
            if (c != '\\') {
                ++at_;
                continue;
            }
            ++at_;
            if (AtEnd()) {
                break;
            }
            const char escaped = text_[at_];
            if (escaped == 'u') {
                for (int i = 0; i < 4; ++i) {
                    ++at_;
                    if (AtEnd() || std::isxdigit(static_cast<unsigned char>(text_[at_])) == 0) {
                        return Unexpected("expected a hex-digit for character escape sequence");
                    }
                }
            } else if (std::string_view("\"\\/bfnrt").find(escaped) == std::string_view::npos) {
                return Fail("Unrecognized character escape");
            }
            ++at_;
        }
        return Fail("Unexpected end-of-input: was expecting closing quote for a string value");
    }

    // One character beyond ASCII: no overlong forms, no surrogates, nothing above U+10FFFF.
    bool Utf8() {
        const auto lead = static_cast<unsigned char>(text_[at_]);
        const size_t rest = lead >= 0xc2 && lead <= 0xdf   ? 1
                            : lead >= 0xe0 && lead <= 0xef ? 2
                            : lead >= 0xf0 && lead <= 0xf4 ? 3
                                                           : 0;
        if (rest == 0) {
            return Fail(fmt::format("Invalid UTF-8 start byte 0x{:02x}", lead));
        }
        for (size_t i = 1; i <= rest; ++i) {
            const auto c = at_ + i < text_.size() ? static_cast<unsigned char>(text_[at_ + i]) : 0u;
            unsigned low = 0x80;
            unsigned high = 0xbf;
            if (i == 1) {
                low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : low;
                high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : high;
            }
            if (c < low || c > high) {
                return Fail(fmt::format("Invalid UTF-8 middle byte 0x{:02x}", c));
            }
        }
        at_ += rest + 1;
        return true;
    }

    bool Digits() {
        const size_t start = at_;
        while (!AtEnd() && text_[at_] >= '0' && text_[at_] <= '9') {
            ++at_;
        }
        return at_ > start;
    }

    bool Number() {
        if (text_[at_] == '-') {
            ++at_;
        }
        const size_t start = at_;
        if (!Digits()) {
            return Unexpected("expected digit (0-9) to follow minus sign, for valid numeric value");
        }
        if (at_ - start > 1 && text_[start] == '0') {
            return Fail("Invalid numeric value: Leading zeroes not allowed");
        }
        if (!AtEnd() && text_[at_] == '.') {
            ++at_;
            if (!Digits()) {
                return Unexpected("Decimal point not followed by a digit");
            }
        }
        if (!AtEnd() && (text_[at_] == 'e' || text_[at_] == 'E')) {
            ++at_;
            if (!AtEnd() && (text_[at_] == '+' || text_[at_] == '-')) {
                ++at_;
            }
            if (!Digits()) {
                return Unexpected("Exponent indicator not followed by a digit");
            }
        }
        return true;
    }

    std::string_view text_;
    size_t at_ = 0;
    std::string problem_;
};

}  // namespace

JsonCheck CheckJson(std::string_view text) {
    return Checker(text).Run();
}

}  // namespace hearth::lambda
