#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace hearth {

void CheckFailed(const char* condition, const std::string& context, std::source_location where) {
    std::fprintf(
        stderr,
        "CHECK failed at %s:%u in %s: %s %s\n",
        where.file_name(),
        static_cast<unsigned>(where.line()),
        where.function_name(),
        condition,
        context.c_str());
    std::fflush(stderr);
    std::abort();
}

void CheckRequestFailed(
    const char* condition, const std::string& context, std::source_location where) {
    throw RequestBug(
        fmt::format("{}:{}: {} {}", where.file_name(), where.line(), condition, context));
}

}  // namespace hearth
