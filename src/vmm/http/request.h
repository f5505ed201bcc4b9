#pragma once

#include "base/result.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The little of HTTP/1 that the monitor speaks, with clients on its API socket and with guests that
// read their metadata: GET, PUT and PATCH, bodies of a stated length, connections that stay open.
// No chunks, no trailers, no line folding: what is not needed is refused, not guessed at.
namespace hearth::vmm {

struct HttpRequest {
    std::string method;
    std::string path;  // "/a/b"; without scheme, authority and query
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    bool has_body = false;  // a content length above 0 was stated
    bool http_1_1 = true;
    bool keep_alive = true;
    bool expects_continue = false;

    // The value of a header, whatever the case of its name; nullptr when it is not there.
    const std::string* Header(std::string_view name) const;
};

struct HttpLimits {
    std::size_t head_bytes_max = 8'192;
    std::size_t headers_max = 64;
    std::size_t body_bytes_max = 51'200;
};

// Turns a stream of bytes into requests. Bytes behind a request are kept for the next one.
class HttpRequestParser final {
  public:
    explicit HttpRequestParser(HttpLimits limits) : limits_(limits) {}

    void Append(std::string_view bytes) { buffer_ += bytes; }

    // A whole request, or nothing yet.
    //   errors  what is wrong, in words for the client (status 400, or 413 for a body that is too
    //           large); the stream cannot be read on after one.
    Result<std::optional<HttpRequest>> Next();

    // Once, when the head of a request that wants to hear "100 Continue" is there.
    bool TakeContinue();

    std::size_t buffered_bytes() const { return buffer_.size(); }

  private:
    Status ParseHead(std::string_view head);

    HttpLimits limits_;
    std::string buffer_;
    std::size_t searched_ = 0;  // bytes of the buffer known not to end a head
    std::optional<HttpRequest> head_;
    std::size_t body_bytes_ = 0;
};

struct HttpResponse {
    int status = 204;
    std::string body;
    std::string_view content_type = "application/json";
    std::string_view allow;  // the value of an Allow header, or empty
    bool deprecated = false;
};

// As bytes. No body and no length for 204.
std::string WriteHttpResponse(const HttpResponse& response, bool http_1_1, bool keep_alive);

}  // namespace hearth::vmm
