#pragma once

#include "base/result.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::logs {

// CloudWatch Logs' filter pattern language: which events FilterLogEvents returns.
//   ERROR "disk full" -retry     all terms, without the excluded; ?A ?B: any of them
//   %4[0-9]{2}%                  a regular expression
//   { $.status >= 500 && $.path = "/api/*" }          conditions on a JSON event
//   [ip, user, ..., status=5*, bytes > 1000]          conditions on space-separated fields
// Patterns are parsed once and match in time linear in the event (regular expressions included).
// Source: CloudWatch Logs User Guide, "Filter pattern syntax".
class FilterPattern final {
  public:
    // Error Malformed with the reason; the service words it.
    static Result<FilterPattern> Parse(std::string_view text);

    bool Matches(std::string_view message) const;

    // Of an event that matches a pattern of space-separated fields: its values by the pattern's
    // names, "$4" for the fourth when it has none. Empty for the other kinds of patterns.
    using Fields = std::vector<std::pair<std::string, std::string>>;
    Fields Extract(std::string_view message) const;

    // A parsed pattern of one kind.
    class Matcher {
      public:
        virtual ~Matcher() = default;
        virtual bool Matches(std::string_view message) const = 0;

        virtual Fields Extract(std::string_view) const { return {}; }
    };

  private:
    explicit FilterPattern(std::shared_ptr<const Matcher> matcher) : matcher_(std::move(matcher)) {}

    // Shared by copies of the pattern; never changed. Null matches everything.
    std::shared_ptr<const Matcher> matcher_;
};

}  // namespace hearth::logs
