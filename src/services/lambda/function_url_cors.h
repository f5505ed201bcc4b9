#pragma once

#include "services/lambda/function_url_store.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::lambda {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// A browser asks what it may do. Headers as in the request, empty when they are not there.
struct CorsQuestion {
    std::string_view origin;
    std::string_view method;   // Access-Control-Request-Method
    std::string_view headers;  // Access-Control-Request-Headers
};

// What a preflight is answered: nothing at all when the origin, the method or one of the headers is
// not allowed.
HttpHeaders CorsPreflightHeaders(const UrlCors& cors, const CorsQuestion& question);

// What an answer to a request from `origin` gets besides its own headers. A function that sets the
// same ones makes them appear twice, as on AWS.
HttpHeaders CorsAnswerHeaders(const UrlCors& cors, std::string_view origin);

}  // namespace hearth::lambda
