#include "services/logs/filter_pattern.h"

#include "codec/json/json.h"

#include <re2/re2.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

namespace hearth::logs {
namespace {

using codec::Json;

constexpr int kNestingMax = 32;
// Memory that one regular expression may take; a pattern has at most 1,024 characters.
constexpr int64_t kRegexBytesMax = 1 << 20;

bool IsSpace(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

Error Bad(std::string why) {
    return errors::Malformed(std::move(why));
}

std::optional<double> ParseNumber(std::string_view text) {
    if (!text.empty() && text.front() == '+') {
        text.remove_prefix(1);
    }
    double number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || rest != text.data() + text.size() || !std::isfinite(number)) {
        return std::nullopt;
    }
    return number;
}

Result<std::shared_ptr<const re2::RE2>> Compile(std::string_view text) {
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kRegexBytesMax);
    auto regex =
        std::make_shared<const re2::RE2>(re2::StringPiece(text.data(), text.size()), options);
    if (!regex->ok()) {
        return Bad("regular expression: " + regex->error());
    }
    return regex;
}

bool Search(const re2::RE2& regex, std::string_view text) {
    return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), regex);
}

// `*` in the pattern stands for any text. Linear: each part takes its first place after the last.
bool MatchesWildcard(std::string_view pattern, std::string_view text) {
    const size_t first_star = pattern.find('*');
    if (first_star == std::string_view::npos) {
        return pattern == text;
    }
    if (!text.starts_with(pattern.substr(0, first_star))) {
        return false;
    }
    text.remove_prefix(first_star);
    pattern.remove_prefix(first_star + 1);
    for (size_t star = pattern.find('*'); star != std::string_view::npos;
         star = pattern.find('*')) {
        const size_t found = text.find(pattern.substr(0, star));
        if (found == std::string_view::npos) {
            return false;
        }
        text.remove_prefix(found + star);
        pattern.remove_prefix(star + 1);
    }
    return text.ends_with(pattern);
}

enum class Comparison { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };

// What a JSON property or a field is compared with.
struct Operand {
    // With wildcards, unless it is a regular expression.
    std::string text;
    std::optional<double> number;
    std::shared_ptr<const re2::RE2> regex;

    bool EqualsText(std::string_view value) const {
        return regex ? Search(*regex, value) : MatchesWildcard(text, value);
    }
};

bool Compare(double left, Comparison comparison, double right) {
    switch (comparison) {
        case Comparison::kEqual:
            return left == right;
        case Comparison::kNotEqual:
            return left != right;
        case Comparison::kLess:
            return left < right;
        case Comparison::kLessOrEqual:
            return left <= right;
        case Comparison::kGreater:
            return left > right;
        case Comparison::kGreaterOrEqual:
            return left >= right;
    }
    return false;
}

bool CompareText(std::string_view value, Comparison comparison, const Operand& operand) {
    if (operand.number) {
        if (const auto number = ParseNumber(value)) {
            return Compare(*number, comparison, *operand.number);
        }
    }
    if (comparison == Comparison::kEqual) {
        return operand.EqualsText(value);
    }
    if (comparison == Comparison::kNotEqual) {
        return !operand.EqualsText(value);
    }
    return false;
}

class Scanner final {
  public:
    explicit Scanner(std::string_view text) : rest_(text) {}

    void SkipSpace() {
        while (!rest_.empty() && IsSpace(rest_.front())) {
            rest_.remove_prefix(1);
        }
    }

    bool AtEnd() const { return rest_.empty(); }

    char Peek() const { return rest_.empty() ? '\0' : rest_.front(); }

    bool Take(std::string_view text) {
        if (!rest_.starts_with(text)) {
            return false;
        }
        rest_.remove_prefix(text.size());
        return true;
    }

    // As Take, for a word that must end there.
    bool TakeWord(std::string_view word) {
        if (!rest_.starts_with(word) ||
            (rest_.size() > word.size() && IsWordCharacter(rest_[word.size()]))) {
            return false;
        }
        rest_.remove_prefix(word.size());
        return true;
    }

    // After the opening quote: up to the closing one, with \" and \\ as escapes.
    Result<std::string> RestOfQuoted(char quote) {
        std::string text;
        while (!rest_.empty()) {
            const char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == quote) {
                return text;
            }
            if (c == '\\' && !rest_.empty() && (rest_.front() == quote || rest_.front() == '\\')) {
                text.push_back(rest_.front());
                rest_.remove_prefix(1);
            } else {
                text.push_back(c);
            }
        }
        return Bad("a quotation without an end");
    }

    // After the opening %: up to the closing one, which \% is not.
    Result<std::shared_ptr<const re2::RE2>> RestOfRegex() {
        std::string text;
        while (!rest_.empty()) {
            const char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == '%') {
                return Compile(text);
            }
            if (c == '\\' && !rest_.empty()) {
                if (rest_.front() != '%') {
                    text.push_back(c);
                }
                text.push_back(rest_.front());
                rest_.remove_prefix(1);
            } else {
                text.push_back(c);
            }
        }
        return Bad("a regular expression without an end");
    }

    template <class Stop>
    std::string Until(Stop stop) {
        size_t length = 0;
        while (length < rest_.size() && !stop(rest_[length])) {
            ++length;
        }
        std::string text(rest_.substr(0, length));
        rest_.remove_prefix(length);
        return text;
    }

    std::optional<Comparison> TakeComparison() {
        // The longer ones first.
        constexpr std::pair<std::string_view, Comparison> kAll[] = {
            {"!=", Comparison::kNotEqual},
            {"<=", Comparison::kLessOrEqual},
            {">=", Comparison::kGreaterOrEqual},
            {"==", Comparison::kEqual},
            {"=", Comparison::kEqual},
            {"<", Comparison::kLess},
            {">", Comparison::kGreater}};
        for (const auto& [text, comparison] : kAll) {
            if (Take(text)) {
                return comparison;
            }
        }
        return std::nullopt;
    }

    // A quoted text, a regular expression, a number or a bare word.
    template <class Stop>
    Result<Operand> TakeOperand(Comparison comparison, Stop stop) {
        Operand operand;
        if (Take("%")) {
            HEARTH_TRY(operand.regex, RestOfRegex());
        } else if (Take("\"")) {
            HEARTH_TRY(operand.text, RestOfQuoted('"'));
        } else {
            operand.text = Until([&](char c) { return IsSpace(c) || stop(c); });
            if (operand.text.empty()) {
                return Bad("a comparison without a value");
            }
            operand.number = ParseNumber(operand.text);
        }
        const bool ordering =
            comparison != Comparison::kEqual && comparison != Comparison::kNotEqual;
        if (ordering && !operand.number) {
            return Bad("only numbers are smaller or greater");
        }
        return operand;
    }

    static bool IsWordCharacter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    }

  private:
    std::string_view rest_;
};

// --- terms -------------------------------------------------------------------------------------

struct Term {
    std::string text;
    std::shared_ptr<const re2::RE2> regex;

    bool In(std::string_view message) const {
        return regex ? Search(*regex, message) : message.find(text) != std::string_view::npos;
    }
};

class Terms final : public FilterPattern::Matcher {
  public:
    static Result<std::shared_ptr<const Matcher>> Parse(Scanner scanner) {
        auto terms = std::make_shared<Terms>();
        for (scanner.SkipSpace(); !scanner.AtEnd(); scanner.SkipSpace()) {
            std::vector<Term>* list = &terms->all_;
            if (scanner.Take("?")) {
                list = &terms->any_;
            } else if (scanner.Take("-")) {
                list = &terms->none_;
            }
            Term term;
            if (scanner.Take("\"")) {
                HEARTH_TRY(term.text, scanner.RestOfQuoted('"'));
            } else if (scanner.Take("%")) {
                HEARTH_TRY(term.regex, scanner.RestOfRegex());
            } else {
                term.text = scanner.Until([](char c) { return IsSpace(c) || c == '"'; });
            }
            if (term.text.empty() && !term.regex) {
                return Bad("an empty term");
            }
            list->push_back(std::move(term));
        }
        return std::shared_ptr<const Matcher>(std::move(terms));
    }

    bool Matches(std::string_view message) const override {
        const auto in_message = [&](const Term& term) { return term.In(message); };
        if (std::any_of(none_.begin(), none_.end(), in_message)) {
            return false;
        }
        // Beside a required term an optional one decides nothing.
        if (all_.empty() && !any_.empty()) {
            return std::any_of(any_.begin(), any_.end(), in_message);
        }
        return std::all_of(all_.begin(), all_.end(), in_message);
    }

  private:
    std::vector<Term> all_;
    std::vector<Term> any_;
    std::vector<Term> none_;
};

// --- { $.json } --------------------------------------------------------------------------------

// One step into a value: a name, an index, or every element.
struct Step {
    std::string name;
    std::optional<size_t> index;
    bool every = false;
};

struct Condition {
    enum class Type { kAnd, kOr, kCompare, kIsTrue, kIsFalse, kIsNull, kExists, kNotExists };

    Type type = Type::kCompare;
    std::unique_ptr<Condition> left;
    std::unique_ptr<Condition> right;
    std::vector<Step> path;
    Comparison comparison = Comparison::kEqual;
    Operand operand;
};

using ConditionPointer = std::unique_ptr<Condition>;

ConditionPointer Combine(Condition::Type type, ConditionPointer left, ConditionPointer right) {
    auto combined = std::make_unique<Condition>();
    combined->type = type;
    combined->left = std::move(left);
    combined->right = std::move(right);
    return combined;
}

class JsonParser final {
  public:
    explicit JsonParser(Scanner scanner) : scanner_(scanner) {}

    Result<ConditionPointer> Parse() {
        HEARTH_TRY(ConditionPointer condition, Or(0));
        scanner_.SkipSpace();
        if (!scanner_.Take("}")) {
            return Bad("no } at the end");
        }
        scanner_.SkipSpace();
        if (!scanner_.AtEnd()) {
            return Bad("something after }");
        }
        return condition;
    }

  private:
    Result<ConditionPointer> Or(int depth) {
        HEARTH_TRY(ConditionPointer condition, And(depth));
        for (scanner_.SkipSpace(); scanner_.Take("||"); scanner_.SkipSpace()) {
            HEARTH_TRY(ConditionPointer right, And(depth));
            condition = Combine(Condition::Type::kOr, std::move(condition), std::move(right));
        }
        return condition;
    }

    Result<ConditionPointer> And(int depth) {
        HEARTH_TRY(ConditionPointer condition, One(depth));
        for (scanner_.SkipSpace(); scanner_.Take("&&"); scanner_.SkipSpace()) {
            HEARTH_TRY(ConditionPointer right, One(depth));
            condition = Combine(Condition::Type::kAnd, std::move(condition), std::move(right));
        }
        return condition;
    }

    Result<ConditionPointer> One(int depth) {
        if (depth > kNestingMax) {
            return Bad("nested too deeply");
        }
        scanner_.SkipSpace();
        if (scanner_.Take("(")) {
            HEARTH_TRY(ConditionPointer inner, Or(depth + 1));
            scanner_.SkipSpace();
            if (!scanner_.Take(")")) {
                return Bad("no ) where one should be");
            }
            return inner;
        }
        auto condition = std::make_unique<Condition>();
        HEARTH_TRY(condition->path, Path());
        scanner_.SkipSpace();
        if (scanner_.TakeWord("IS")) {
            scanner_.SkipSpace();
            if (scanner_.TakeWord("TRUE")) {
                condition->type = Condition::Type::kIsTrue;
            } else if (scanner_.TakeWord("FALSE")) {
                condition->type = Condition::Type::kIsFalse;
            } else if (scanner_.TakeWord("NULL")) {
                condition->type = Condition::Type::kIsNull;
            } else {
                return Bad("IS is followed by TRUE, FALSE or NULL");
            }
            return condition;
        }
        if (scanner_.TakeWord("EXISTS")) {
            condition->type = Condition::Type::kExists;
            return condition;
        }
        if (scanner_.TakeWord("NOT")) {
            scanner_.SkipSpace();
            if (!scanner_.TakeWord("EXISTS")) {
                return Bad("NOT is followed by EXISTS");
            }
            condition->type = Condition::Type::kNotExists;
            return condition;
        }
        const auto comparison = scanner_.TakeComparison();
        if (!comparison) {
            return Bad("a property without a comparison");
        }
        condition->comparison = *comparison;
        scanner_.SkipSpace();
        HEARTH_TRY(condition->operand, scanner_.TakeOperand(*comparison, [](char c) {
            return c == ')' || c == '}' || c == '&' || c == '|';
        }));
        return condition;
    }

    Result<std::vector<Step>> Path() {
        if (!scanner_.Take("$")) {
            return Bad("a property begins with $");
        }
        std::vector<Step> path;
        while (true) {
            if (scanner_.Take(".[") || scanner_.Take("[")) {
                HEARTH_TRY(Step step, Bracket());
                path.push_back(std::move(step));
            } else if (scanner_.Take(".")) {
                Step step;
                step.name = scanner_.Until([](char c) {
                    return IsSpace(c) || c == '.' || c == '[' || c == '=' || c == '!' || c == '<' ||
                           c == '>' || c == ')' || c == '}' || c == '&' || c == '|';
                });
                if (step.name.empty()) {
                    return Bad("a property without a name");
                }
                path.push_back(std::move(step));
            } else if (path.size() > kNestingMax) {
                return Bad("nested too deeply");
            } else {
                return path;
            }
        }
    }

    Result<Step> Bracket() {
        Step step;
        if (scanner_.Take("\"")) {
            HEARTH_TRY(step.name, scanner_.RestOfQuoted('"'));
        } else if (scanner_.Take("'")) {
            HEARTH_TRY(step.name, scanner_.RestOfQuoted('\''));
        } else if (scanner_.Take("*")) {
            step.every = true;
        } else {
            const std::string digits = scanner_.Until([](char c) { return c < '0' || c > '9'; });
            constexpr size_t kDigitsMax = 6;
            if (digits.empty() || digits.size() > kDigitsMax) {
                return Bad("an index that is no small number");
            }
            step.index = static_cast<size_t>(std::stoul(digits));
        }
        if (!scanner_.Take("]")) {
            return Bad("no ] where one should be");
        }
        return step;
    }

    Scanner scanner_;
};

class JsonConditions final : public FilterPattern::Matcher {
  public:
    explicit JsonConditions(ConditionPointer condition) : condition_(std::move(condition)) {}

    bool Matches(std::string_view message) const override {
        const size_t first = message.find_first_not_of(" \t\r\n");
        if (first == std::string_view::npos || (message[first] != '{' && message[first] != '[')) {
            return false;
        }
        const Result<Json> value = codec::ParseJson(message);
        return value.ok() && Holds(*condition_, *value);
    }

  private:
    static bool Holds(const Condition& condition, const Json& root) {
        using Type = Condition::Type;
        if (condition.type == Type::kAnd) {
            return Holds(*condition.left, root) && Holds(*condition.right, root);
        }
        if (condition.type == Type::kOr) {
            return Holds(*condition.left, root) || Holds(*condition.right, root);
        }
        if (condition.type == Type::kNotExists) {
            return !AnyAt(condition, 0, root);
        }
        return AnyAt(condition, 0, root);
    }

    // Whether the condition holds for any value that the path names.
    static bool AnyAt(const Condition& condition, size_t depth, const Json& value) {
        if (depth == condition.path.size()) {
            return HoldsFor(condition, value);
        }
        const Step& step = condition.path[depth];
        if (step.every) {
            const Json::Array* const array = value.AsArray();
            return array != nullptr &&
                   std::any_of(array->begin(), array->end(), [&](const Json& element) {
                       return AnyAt(condition, depth + 1, element);
                   });
        }
        const Json* next = nullptr;
        if (step.index) {
            const Json::Array* const array = value.AsArray();
            if (array != nullptr && *step.index < array->size()) {
                next = &(*array)[*step.index];
            }
        } else {
            next = value.Find(step.name);
        }
        return next != nullptr && AnyAt(condition, depth + 1, *next);
    }

    static bool HoldsFor(const Condition& condition, const Json& value) {
        switch (condition.type) {
            case Condition::Type::kIsTrue:
                return value.AsBool() != nullptr && *value.AsBool();
            case Condition::Type::kIsFalse:
                return value.AsBool() != nullptr && !*value.AsBool();
            case Condition::Type::kIsNull:
                return value.is_null();
            case Condition::Type::kExists:
            case Condition::Type::kNotExists:
                return true;
            default:
                return CompareValue(condition, value);
        }
    }

    static std::optional<double> NumberIn(const Json& value) {
        if (const int64_t* const number = value.AsInt()) {
            return static_cast<double>(*number);
        }
        if (const uint64_t* const number = value.AsUint()) {
            return static_cast<double>(*number);
        }
        if (const double* const number = value.AsDouble()) {
            return *number;
        }
        return std::nullopt;
    }

    static bool CompareValue(const Condition& condition, const Json& value) {
        if (const auto number = NumberIn(value)) {
            if (condition.operand.number) {
                return Compare(*number, condition.comparison, *condition.operand.number);
            }
            return CompareText(codec::WriteJson(value), condition.comparison, condition.operand);
        }
        if (const std::string* const text = value.AsString()) {
            // A quoted number is text: "200" = 200 holds, "200" > 100 does not.
            if (condition.comparison == Comparison::kEqual) {
                return condition.operand.EqualsText(*text);
            }
            return condition.comparison == Comparison::kNotEqual &&
                   !condition.operand.EqualsText(*text);
        }
        if (const bool* const truth = value.AsBool()) {
            return CompareText(*truth ? "true" : "false", condition.comparison, condition.operand);
        }
        return false;
    }

    const ConditionPointer condition_;
};

// --- [space, separated] ------------------------------------------------------------------------

struct FieldTest {
    Comparison comparison = Comparison::kEqual;
    Operand operand;
};

struct Field {
    std::string name;
    bool ellipsis = false;
    // Any of these alternatives, each with all of its tests; none at all: any value.
    std::vector<std::vector<FieldTest>> alternatives;

    bool Matches(std::string_view value) const {
        return alternatives.empty() ||
               std::any_of(alternatives.begin(), alternatives.end(), [&](const auto& tests) {
                   return std::all_of(tests.begin(), tests.end(), [&](const FieldTest& test) {
                       return CompareText(value, test.comparison, test.operand);
                   });
               });
    }
};

// An event's fields: separated by spaces; "..." and [...] are one field each.
std::vector<std::string_view> SplitFields(std::string_view message) {
    std::vector<std::string_view> fields;
    size_t at = 0;
    while (at < message.size()) {
        if (IsSpace(message[at])) {
            ++at;
            continue;
        }
        const char closing = message[at] == '"' ? '"' : message[at] == '[' ? ']' : '\0';
        const size_t close =
            closing == '\0' ? std::string_view::npos : message.find(closing, at + 1);
        if (close != std::string_view::npos) {
            fields.push_back(message.substr(at + 1, close - at - 1));
            at = close + 1;
            continue;
        }
        size_t end = at;
        while (end < message.size() && !IsSpace(message[end])) {
            ++end;
        }
        fields.push_back(message.substr(at, end - at));
        at = end;
    }
    return fields;
}

class FieldConditions final : public FilterPattern::Matcher {
  public:
    static Result<std::shared_ptr<const Matcher>> Parse(Scanner scanner) {
        auto conditions = std::make_shared<FieldConditions>();
        bool ellipsis_seen = false;
        while (true) {
            scanner.SkipSpace();
            HEARTH_TRY(Field field, ParseField(scanner));
            if (field.ellipsis && ellipsis_seen) {
                return Bad("... twice");
            }
            ellipsis_seen = ellipsis_seen || field.ellipsis;
            conditions->fields_.push_back(std::move(field));
            scanner.SkipSpace();
            if (scanner.Take(",")) {
                continue;
            }
            if (!scanner.Take("]")) {
                return Bad("no ] at the end");
            }
            scanner.SkipSpace();
            if (!scanner.AtEnd()) {
                return Bad("something after ]");
            }
            return std::shared_ptr<const Matcher>(std::move(conditions));
        }
    }

    bool Matches(std::string_view message) const override {
        const std::vector<std::string_view> values = SplitFields(message);
        const auto ellipsis = std::find_if(
            fields_.begin(), fields_.end(), [](const Field& field) { return field.ellipsis; });
        if (ellipsis == fields_.end()) {
            return values.size() == fields_.size() &&
                   std::equal(fields_.begin(), fields_.end(), values.begin(), MatchesField);
        }
        const auto before = static_cast<size_t>(ellipsis - fields_.begin());
        const size_t after = fields_.size() - before - 1;
        return values.size() >= before + after &&
               std::equal(fields_.begin(), ellipsis, values.begin(), MatchesField) &&
               std::equal(
                   fields_.rbegin(),
                   fields_.rbegin() + static_cast<ptrdiff_t>(after),
                   values.rbegin(),
                   MatchesField);
    }

    FilterPattern::Fields Extract(std::string_view message) const override {
        const std::vector<std::string_view> values = SplitFields(message);
        FilterPattern::Fields extracted;
        const auto add = [&](const Field& field, size_t at) {
            extracted.emplace_back(
                field.name.empty() ? "$" + std::to_string(at + 1) : field.name,
                std::string(values[at]));
        };
        size_t at = 0;
        for (size_t i = 0; i < fields_.size() && at < values.size(); ++i) {
            if (!fields_[i].ellipsis) {
                add(fields_[i], at++);
                continue;
            }
            // What the ellipsis stands for ends where the fields behind it begin.
            const size_t behind = fields_.size() - i - 1;
            while (at + behind < values.size()) {
                add(fields_[i], at++);
            }
        }
        return extracted;
    }

  private:
    static bool MatchesField(const Field& field, std::string_view value) {
        return field.Matches(value);
    }

    static Result<Field> ParseField(Scanner& scanner) {
        Field field;
        if (scanner.Take("...")) {
            field.ellipsis = true;
            return field;
        }
        const auto name_ends = [](char c) {
            return IsSpace(c) || c == ',' || c == ']' || c == '=' || c == '!' || c == '<' ||
                   c == '>';
        };
        const std::string name = scanner.Until(name_ends);
        field.name = name;
        scanner.SkipSpace();
        auto comparison = scanner.TakeComparison();
        if (!comparison) {
            // A name alone, or nothing between two commas: any value.
            return field;
        }
        field.alternatives.emplace_back();
        while (true) {
            scanner.SkipSpace();
            FieldTest test;
            test.comparison = *comparison;
            HEARTH_TRY(test.operand, scanner.TakeOperand(*comparison, [](char c) {
                return c == ',' || c == ']' || c == '&' || c == '|';
            }));
            field.alternatives.back().push_back(std::move(test));
            scanner.SkipSpace();
            if (scanner.Take("||")) {
                field.alternatives.emplace_back();
            } else if (!scanner.Take("&&")) {
                return field;
            }
            scanner.SkipSpace();
            if (scanner.Until(name_ends) != name) {
                return Bad("conditions of one field name another");
            }
            scanner.SkipSpace();
            comparison = scanner.TakeComparison();
            if (!comparison) {
                return Bad("a field without a comparison");
            }
        }
    }

    std::vector<Field> fields_;
};

}  // namespace

Result<FilterPattern> FilterPattern::Parse(std::string_view text) {
    Scanner scanner(text);
    scanner.SkipSpace();
    if (scanner.AtEnd()) {
        return FilterPattern(nullptr);
    }
    if (scanner.Take("{")) {
        HEARTH_TRY(ConditionPointer condition, JsonParser(scanner).Parse());
        return FilterPattern(std::make_shared<const JsonConditions>(std::move(condition)));
    }
    if (scanner.Take("[")) {
        HEARTH_TRY(auto matcher, FieldConditions::Parse(scanner));
        return FilterPattern(std::move(matcher));
    }
    HEARTH_TRY(auto matcher, Terms::Parse(scanner));
    return FilterPattern(std::move(matcher));
}

bool FilterPattern::Matches(std::string_view message) const {
    return matcher_ == nullptr || matcher_->Matches(message);
}

FilterPattern::Fields FilterPattern::Extract(std::string_view message) const {
    return matcher_ == nullptr ? Fields() : matcher_->Extract(message);
}

}  // namespace hearth::logs
