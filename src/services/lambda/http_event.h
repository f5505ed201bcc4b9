#pragma once

#include "aws/front/context.h"
#include "base/clock.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::lambda {

// An HTTP request on its way into a function: event format 2.0, as function URLs have it.
struct HttpEvent {
    // "abc...": the first label of the domain.
    std::string url_id;
    // "abc....lambda-url.eu-west-1.localhost", whichever way the request came.
    std::string domain_name;
    std::string_view method;
    // Both as received, percent-encoded.
    std::string_view path;
    std::string_view query;
    int minor_version = 1;
    // In the order received, names in lower case; those of the connection itself are left out by
    // WriteHttpEvent.
    std::vector<std::pair<std::string, std::string>> headers;
    std::string source_ip;
    std::string request_id;
    WallClock::time_point time;
    std::string_view body;
    // Who signed the request, where that was asked for; else it is anonymous.
    const aws::Caller* caller = nullptr;
};

// The event as JSON.
//   cookies                 each cookie of the Cookie headers; absent without any
//   headers                 several of one name joined by commas
//   queryStringParameters   decoded, several of one name joined by commas; absent without any
//   body                    text of a textual content type as it is, everything else in base64;
//                           absent without any
// Source: "Invoking Lambda function URLs", Lambda Developer Guide, 2026.
std::string WriteHttpEvent(const HttpEvent& event);

// Whether a body of this content type reaches a function as text: text/*, JSON, XML, JavaScript.
bool IsTextualContentType(std::string_view content_type);

}  // namespace hearth::lambda
