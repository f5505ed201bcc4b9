// Answers that flow, on top of hearth_runtime.h: what the handler writes goes to the caller at
// once.
//
//   int main() {
//       return hearth_runtime::RunStreaming(
//           [](const std::string& event, hearth_runtime::ResponseStream& stream) {
//               stream.Write("first ");
//               stream.Write("second");
//           });
//   }
//
// Callers get it piece by piece from InvokeWithResponseStream and from function URLs in mode
// RESPONSE_STREAM; Invoke collects it. An exception before the first byte is the function's error,
// a later one goes into the answer's trailer. Source: AWS Lambda Developer Guide, "Implementing
// response streaming in a custom runtime".
#ifndef HEARTH_STREAMING_H
#define HEARTH_STREAMING_H

#include "hearth_runtime.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace hearth_runtime {

inline std::string Base64(std::string_view bytes) {
    static const char kDigits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        uint32_t group = 0;
        for (size_t j = 0; j < 3; ++j) {
            const uint32_t byte =
                i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0;
            group = group << 8U | byte;
        }
        for (size_t j = 0; j < 4; ++j) {
            out += i + j > bytes.size() ? '=' : kDigits[(group >> (18 - 6 * j)) & 63U];
        }
    }
    return out;
}

class ResponseStream final {
  public:
    ResponseStream(Connection& connection, std::string path)
        : connection_(connection), path_(std::move(path)) {}

    // Before the first Write.
    void SetContentType(const std::string& type) { content_type_ = type; }

    // Returns when the Runtime API has taken the bytes: a slow caller slows the function down.
    void Write(std::string_view bytes) {
        Begin();
        if (bytes.empty()) {
            return;
        }
        char size[20];
        const int digits = std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
        pending_.append(size, static_cast<size_t>(digits));
        if (bytes.size() <= kJoinedBytesMax) {
            pending_.append(bytes).append("\r\n");
            Flush();
        } else {
            Flush();
            connection_.Send(bytes);
            pending_ = "\r\n";
            Flush();
        }
    }

    bool begun() const { return begun_; }

    void Finish() {
        Begin();
        pending_ += "0\r\n\r\n";
        Flush();
        connection_.Receive();
    }

    // Ends what has begun with an error in the trailer.
    void Fail(const std::string& type, std::string_view message) {
        const std::string body =
            "{\"errorType\":" + JsonString(type) + ",\"errorMessage\":" + JsonString(message) + "}";
        pending_ += "0\r\nLambda-Runtime-Function-Error-Type: " + type +
                    "\r\nLambda-Runtime-Function-Error-Body: " + Base64(body) + "\r\n\r\n";
        Flush();
        connection_.Receive();
    }

  private:
    static constexpr size_t kJoinedBytesMax = 16 * 1024;

    // The head waits for the first bytes and travels with them.
    void Begin() {
        if (begun_) {
            return;
        }
        begun_ = true;
        pending_ = "POST " + path_ +
                   " HTTP/1.1\r\nHost: lambda\r\n"
                   "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
                   "Transfer-Encoding: chunked\r\n"
                   "Trailer: Lambda-Runtime-Function-Error-Type, "
                   "Lambda-Runtime-Function-Error-Body\r\nContent-Type: " +
                   content_type_ + "\r\n\r\n";
    }

    void Flush() {
        connection_.Send(pending_);
        pending_.clear();
    }

    Connection& connection_;
    std::string path_;
    std::string content_type_ = "application/octet-stream";
    std::string pending_;
    bool begun_ = false;
};

using StreamHandler = std::function<void(const std::string& event, ResponseStream& stream)>;

// As Run, for handlers that write their answer.
inline int RunStreaming(const StreamHandler& handler) {
    const char* api = std::getenv("AWS_LAMBDA_RUNTIME_API");
    if (api == nullptr) {
        std::fputs("AWS_LAMBDA_RUNTIME_API is not set: this program runs as a function\n", stderr);
        return 1;
    }
    try {
        Connection connection(api);
        const std::string base = "/2018-06-01/runtime/invocation/";
        for (;;) {
            const std::string event = connection.Exchange("GET", base + "next", "", "");
            const std::string id = connection.Header("Lambda-Runtime-Aws-Request-Id");
            setenv("_X_AMZN_TRACE_ID", connection.Header("Lambda-Runtime-Trace-Id").c_str(), 1);
            ResponseStream stream(connection, base + id + "/response");
            std::string type;
            std::string message;
            try {
                handler(event, stream);
            } catch (const Failure& failure) {
                type = failure.type();
                message = failure.what();
            } catch (const std::exception& error) {
                type = "Error";
                message = error.what();
            }
            if (type.empty()) {
                stream.Finish();
            } else if (stream.begun()) {
                stream.Fail(type, message);
            } else {
                Fail(connection, base + id + "/error", type, message);
            }
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

}  // namespace hearth_runtime

#endif  // HEARTH_STREAMING_H
