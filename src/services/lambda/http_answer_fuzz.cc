#include "base/check.h"
#include "services/lambda/http_answer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Whatever a function answers: what is accepted has headers that cannot break HTTP's frame, and a
// prelude means the same however it is cut.
namespace {

void CheckAnswer(const hearth::lambda::HttpAnswer& answer) {
    CHECK(answer.status >= 200 && answer.status <= 599, "a status that is none");
    for (const auto& [name, value] : answer.headers) {
        CHECK(!name.empty() && name.find_first_of("\r\n: ") == std::string::npos, "a bad name");
        CHECK(
            value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos, "a bad value");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
    const auto answer = hearth::lambda::ReadHttpAnswer(std::string(text));
    if (answer.ok()) {
        CheckAnswer(*answer);
    }
    hearth::lambda::HttpPreludeReader whole;
    const auto taken = whole.Take(text);
    if (!taken.ok() || !*taken) {
        return 0;
    }
    CheckAnswer(whole.answer());
    hearth::lambda::HttpPreludeReader cut;
    std::string body;
    bool complete = false;
    const size_t piece = 1 + data[0] % 16;
    for (size_t at = 0; at < text.size(); at += piece) {
        if (complete) {
            body += text.substr(at, piece);
            continue;
        }
        const auto part = cut.Take(text.substr(at, piece));
        CHECK(part.ok(), "refused in pieces");
        complete = *part;
        body = complete ? cut.TakeBody() : std::string();
    }
    CHECK(complete && body == whole.TakeBody(), "another body in pieces");
    CHECK(cut.answer().status == whole.answer().status, "another status in pieces");
    return 0;
}
