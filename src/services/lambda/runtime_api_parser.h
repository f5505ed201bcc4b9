#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// HTTP/1.1 as a function's runtime speaks it to the Runtime API: hostile bytes, one connection, a
// handful of short requests per second or thousands. Made for that alone: no allocation beyond the
// body, no header table, only the headers that mean something here.
namespace hearth::lambda {

inline constexpr size_t kRuntimeApiHeadBytesMax = 64 * 1024;
// What Lambda's message states; 100 bytes above 6 MiB.
inline constexpr size_t kRuntimeApiBodyBytesMax = 6'291'556;
// A body beyond its limit is read and dropped up to here, so that the sender sees the answer 413.
inline constexpr uint64_t kRuntimeApiDropBytesMax = 256ull * 1024 * 1024;

struct RuntimeApiRequest {
    std::string method;
    std::string target;
    std::string body;
    // Lambda-Runtime-Function-Error-Type and -Error-Body (base64), also from a trailer.
    std::string error_type;
    std::string error_body;
    std::string content_type;
    // Lambda-Extension-Name, -Identifier, -Accept-Feature and -Function-Error-Type.
    std::string extension_name;
    std::string extension_identifier;
    std::string extension_features;
    std::string extension_error_type;
    std::string authorization;
    // Lambda-Runtime-Function-Response-Mode; "streaming" is the one there is.
    std::string response_mode;
    bool keep_alive = true;
    // The sender waits for "100 Continue" before the body.
    bool expects_continue = false;
    // The body was longer than kRuntimeApiBodyBytesMax; it is not in `body`.
    bool body_too_large = false;
};

// Bytes in, requests out. Bytes of a following request stay for the next call.
class RuntimeApiParser final {
  public:
    enum class State {
        kNeedMore,
        // The head of a request with a body in mode "streaming" is there; once, before any of the
        // body. Call Stream to get it as it comes, or go on and get it as a whole.
        kStreamBegins,
        // request() is complete; call Reset before more bytes.
        kDone,
        // Not HTTP, or beyond a limit; the connection ends. http_status() says with which answer.
        kBroken,
    };

    // Takes bytes from the front of `bytes` and removes what it took.
    State Consume(std::string_view& bytes);
    void Reset();

    // From now on the body of this request has no limit and is never whole: body() gives what has
    // come since DropBody, after each Consume.
    void Stream() { streaming_ = true; }

    std::string_view body() const { return request_.body; }

    void DropBody() { request_.body.clear(); }

    RuntimeApiRequest& request() { return request_; }

    int http_status() const { return http_status_; }

    // True once per request: the head is complete, the body is not, and the sender waits.
    bool TakeContinue();

  private:
    enum class Step { kHead, kBody, kChunkSize, kChunkData, kChunkEnd, kTrailer, kDone, kBroken };

    bool ParseHead();
    bool ParseHeader(std::string_view line);
    bool TakeLine(std::string_view& bytes, std::string_view& line);
    void AppendBody(std::string_view bytes);
    State Break(int http_status);

    Step step_ = Step::kHead;
    RuntimeApiRequest request_;
    // The head, or a line of a chunked body, while it is incomplete.
    std::string partial_;
    std::string line_;
    uint64_t missing_ = 0;
    uint64_t received_ = 0;
    size_t trailer_bytes_ = 0;
    bool has_length_ = false;
    bool chunked_ = false;
    bool continue_due_ = false;
    bool streaming_ = false;
    int http_status_ = 400;
};

}  // namespace hearth::lambda
