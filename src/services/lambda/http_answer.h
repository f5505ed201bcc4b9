#pragma once

#include "base/result.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::lambda {

// What a function answers to an HTTP request: response format 2.0.
struct HttpAnswer {
    int status = 200;
    // With one Set-Cookie per cookie. What HTTP's own layers decide is renamed, as AWS does
    // (x-amzn-Remapped-Date), or left out.
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};

// Reads a buffered answer. An object with a statusCode says what to answer; everything else is the
// body of a 200 of application/json itself (a string without its quotes).
//   errors  kInvalid, with the reason: the client gets a 502.
Result<HttpAnswer> ReadHttpAnswer(std::string payload);

// A streamed answer with a head of its own begins with statusCode, headers and cookies as JSON,
// followed by eight zero bytes, and then its body's bytes. They come in pieces of any size.
inline constexpr std::string_view kHttpIntegrationContentType =
    "application/vnd.awslambda.http-integration-response";
inline constexpr size_t kHttpPreludeBytesMax = 1024 * 1024;

class HttpPreludeReader final {
  public:
    // Takes the next piece. True: the head is there, and body() holds what followed it.
    //   errors  kInvalid: no such head, or a longer one than kHttpPreludeBytesMax
    Result<bool> Take(std::string_view piece);

    HttpAnswer& answer() { return answer_; }

    // What Take had beyond the head.
    std::string TakeBody() { return std::move(body_); }

  private:
    std::string bytes_;
    std::string body_;
    HttpAnswer answer_;
};

}  // namespace hearth::lambda
