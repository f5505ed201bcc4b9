#include "base/check.h"
#include "codec/json/json.h"
#include "services/lambda/http_event.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Whatever bytes a request is made of, its event is JSON in UTF-8 that keeps the path. The input is
// lines: method, path, query, then headers "name: value"; what follows an empty line is the body.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    const auto line = [&rest] {
        const size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view text = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        return text;
    };
    hearth::lambda::HttpEvent event;
    event.url_id = "abc";
    event.domain_name = "abc.lambda-url.us-east-1.localhost";
    event.source_ip = "192.0.2.1";
    event.request_id = "id";
    event.method = line();
    event.path = line();
    event.query = line();
    while (!rest.empty()) {
        const std::string_view header = line();
        if (header.empty()) {
            break;
        }
        const size_t colon = std::min(header.find(": "), header.size());
        event.headers.emplace_back(
            header.substr(0, colon), header.substr(std::min(colon + 2, header.size())));
    }
    event.body = rest;
    const std::string text = hearth::lambda::WriteHttpEvent(event);
    const auto json = hearth::codec::ParseJson(text);
    CHECK(json.ok(), "{}", text);
    CHECK(json->FindString("rawPath") != nullptr, "no path");
    CHECK((json->Find("body") == nullptr) == rest.empty(), "a body that is not there");
    return 0;
}
