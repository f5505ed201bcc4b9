#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Which web pages may call a bucket: its CORS configuration, and what browsers are answered. Pure.
// Source: S3 User Guide, "How does Amazon S3 evaluate the CORS configuration on a bucket?"
namespace hearth::s3 {

struct CorsRule {
    std::vector<std::string> origins;  // each with at most one star
    std::vector<std::string> methods;
    std::vector<std::string> allowed_headers;  // lower case; each with at most one star
    std::vector<std::string> expose_headers;
    std::optional<int32_t> max_age_s;
};

class CorsRules final {
  public:
    using Headers = std::vector<std::pair<std::string, std::string>>;

    explicit CorsRules(std::vector<CorsRule> rules) : rules_(std::move(rules)) {}

    // What the first rule that allows all three answers; nullopt: none does.
    //   method           the call's own, or Access-Control-Request-Method of a preflight
    //   request_headers  Access-Control-Request-Headers as received; empty: none
    std::optional<Headers> Answer(
        std::string_view origin, std::string_view method, std::string_view request_headers) const;

  private:
    std::vector<CorsRule> rules_;
};

// With at most one star, which stands for any text.
bool MatchesOneStar(std::string_view pattern, std::string_view text);

}  // namespace hearth::s3
