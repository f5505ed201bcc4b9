#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::aws {

// What the signer of a browser's upload form allows: until when, and what each field may hold.
// Pure. Source: Amazon S3 API Reference, "Creating a POST policy", 2025.
class PostPolicy final {
  public:
    // Names in lower case, values with their variables replaced.
    using Fields = std::vector<std::pair<std::string, std::string>>;

    // `encoded` as the form has it, in Base64.
    //   errors  InvalidPolicyDocument
    static Result<PostPolicy> Parse(std::string_view encoded);

    // Each field must meet its conditions, each condition be met, and no field be without one.
    // `fields` has the bucket among them.
    //   errors  AccessDenied, with what failed
    Status Check(const Fields& fields, WallClock::time_point now) const;

    struct Range {
        uint64_t min = 0;
        uint64_t max = UINT64_MAX;
    };

    // Of the file's size; what is not stated is not limited.
    const Range& content_length() const { return content_length_; }

  private:
    struct Condition {
        bool is_prefix = false;
        std::string field;
        std::string value;
        // As in the document, for errors.
        std::string text;
    };

    WallClock::time_point expiration_;
    std::vector<Condition> conditions_;
    Range content_length_;
};

}  // namespace hearth::aws
