#include "base/check.h"
#include "services/lambda/json_check.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

// Any bytes end in a verdict, and a refusal says why.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto check = hearth::lambda::CheckJson(text);
    CHECK(check.ok == check.problem.empty(), "a problem without a text");
    return 0;
}
