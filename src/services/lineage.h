#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// The member Lineage of a trace header (X-Amzn-Trace-Id): which functions a chain of events has run
// through, and how often. Lambda counts (services/lambda/recursion.h); services that keep a trace
// header with what a function gave them begin it, because by the time it calls a function again
// nobody knows any more who that was.
namespace hearth {

inline constexpr std::string_view kLineageMember = "Lineage=";

// "arn:aws:lambda:<region>:<account>:function:<name>", without a qualifier.
inline std::string_view FunctionWithoutQualifier(std::string_view arn) {
    size_t end = 0;
    for (int part = 0; part < 7; ++part) {
        end = arn.find(':', end);
        if (end == std::string_view::npos) {
            return arn;
        }
        ++end;
    }
    return arn.substr(0, end - 1);
}

// FNV-1a: names a function within one chain; nothing depends on its being hard to forge.
inline uint32_t LineageNameOf(std::string_view function_arn) {
    uint32_t hash = 2'166'136'261u;
    for (const char letter : FunctionWithoutQualifier(function_arn)) {
        hash = (hash ^ static_cast<unsigned char>(letter)) * 16'777'619u;
    }
    return hash;
}

// Notes the function that gave an event, unless the chain has begun before.
//   trace_header  changed in place; stays empty when it is
//   caller_arn    RequestContext::calling_function_arn; empty: a client outside, no chain begins
inline void BeginLineage(std::string& trace_header, std::string_view caller_arn) {
    if (trace_header.empty() || caller_arn.empty() ||
        trace_header.find(kLineageMember) != std::string::npos) {
        return;
    }
    trace_header += fmt::format(";{}{:08x}:0", kLineageMember, LineageNameOf(caller_arn));
}

}  // namespace hearth
