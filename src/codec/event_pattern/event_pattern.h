#pragma once

#include "base/result.h"
#include "codec/json/json.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

// Event patterns: the language in which EventBridge rules, Pipes and Lambda's event source mappings
// say which events they want.
//
// A pattern is a JSON object shaped as the event is; each of its leaves is a list of matchers of
// which one has to match: a literal, or {"prefix"}, {"suffix"}, {"equals-ignore-case"},
// {"anything-but"}, {"numeric"}, {"exists"}, {"wildcard"}, {"cidr"}. All leaves have to match, and
// of each "$or" one alternative. Where the event has an array, one element of it has to match all
// that the pattern says below it.
//
// Source: EventBridge User Guide, "Comparison operators"; Lambda Developer Guide, "Control which
// events Lambda sends to your function"; the tests of AWS's own matcher, aws/event-ruler, are facts
// in event_pattern_test.cc.
namespace hearth::codec {

// A compiled pattern. Cheap to copy; any thread. Matching takes time in proportion to the event,
// whatever the pattern is.
class EventPattern final {
  public:
    // Of all alternatives of all "$or" of a pattern. Source: EventBridge User Guide.
    static constexpr size_t kCombinationsMax = 1'000;

    //   errors  Malformed, with AWS's reason: "Empty arrays are not allowed",
    //           "\"x\" must be an object or an array", ...
    static Result<EventPattern> Compile(std::string_view pattern);
    static Result<EventPattern> CompileJson(const Json& pattern);

    bool Matches(const Json& event) const;

    // Whether something is said about the member `name` of the event, in whichever alternative.
    bool Names(std::string_view name) const;

    struct Node;

  private:
    explicit EventPattern(std::shared_ptr<const Node> root) : root_(std::move(root)) {}

    std::shared_ptr<const Node> root_;
};

}  // namespace hearth::codec
