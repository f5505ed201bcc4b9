#pragma once

#include "aws/protocol/protocol.h"
#include "base/result.h"
#include "rt/task.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::aws {

// A question of a browser: may a page of `origin` do this? Views live until it is answered.
struct CrossOriginRequest {
    // In path form: "/bucket/key".
    std::string_view path;
    std::string_view origin;
    // The method of the call itself: for a preflight that of Access-Control-Request-Method.
    std::string_view method;
    // Preflight: Access-Control-Request-Headers as received; else empty.
    std::string_view request_headers;
    bool preflight = false;
};

// Which web pages may call a service's resources (the CORS configuration of a bucket). The gateway
// asks for each call that has an Origin header: a preflight (OPTIONS) is answered with what comes
// back, and every other answer, errors too, gets the headers added.
class CrossOriginRules {
  public:
    virtual ~CrossOriginRules() = default;

    using Headers = std::vector<std::pair<std::string, std::string>>;

    // The Access-Control-* headers (and Vary) of the first rule that matches; nullopt: none does.
    //   errors  for preflights: those that the service answers instead
    //           (AccessForbidden "CORSResponse: CORS is not enabled for this bucket.",
    //           NoSuchBucket)
    virtual Task<Result<std::optional<Headers>>> Ask(const CrossOriginRequest& request) = 0;
};

}  // namespace hearth::aws
