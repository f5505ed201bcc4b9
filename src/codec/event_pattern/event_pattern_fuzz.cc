// Any bytes as a pattern and an event. Where a pattern is simple enough, a second matcher, written
// the naive way, has to agree.
#include "codec/event_pattern/event_pattern.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using hearth::codec::Json;

bool IsLiteral(const Json& value) {
    // Texts that may be addresses match other writings of the same address.
    const std::string* const text = value.AsString();
    return text != nullptr ? text->find_first_of(".:") == std::string::npos
                           : value.AsBool() != nullptr || value.is_null();
}

// Literal strings, booleans and nulls below objects alone; no arrays in the event.
bool IsSimple(const Json& pattern) {
    for (const auto& member : *pattern.AsObject()) {
        if (member.name == "$or") {
            return false;
        }
        if (const auto* const list = member.value.AsArray()) {
            for (const Json& entry : *list) {
                if (!IsLiteral(entry)) {
                    return false;
                }
            }
        } else if (member.value.AsObject() == nullptr || !IsSimple(member.value)) {
            return false;
        }
    }
    return true;
}

bool HasArrays(const Json& value) {
    if (value.is_array()) {
        return true;
    }
    if (const auto* const object = value.AsObject()) {
        for (const auto& member : *object) {
            if (HasArrays(member.value)) {
                return true;
            }
        }
    }
    return false;
}

bool MatchesNaively(const Json& pattern, const Json& event) {
    for (const auto& member : *pattern.AsObject()) {
        const Json* const value = event.Find(member.name);
        if (value == nullptr) {
            return false;
        }
        if (member.value.is_object()) {
            if (!value->is_object() || !MatchesNaively(member.value, *value)) {
                return false;
            }
            continue;
        }
        bool any = false;
        for (const Json& entry : *member.value.AsArray()) {
            any |= entry == *value;
        }
        if (!any) {
            return false;
        }
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const size_t line = input.find('\n');
    const std::string_view pattern_text = input.substr(0, line);
    const auto pattern = hearth::codec::EventPattern::Compile(pattern_text);
    if (!pattern.ok() || line == std::string_view::npos) {
        return 0;
    }
    const auto event = hearth::codec::ParseJson(input.substr(line + 1));
    if (!event.ok()) {
        return 0;
    }
    const bool matches = pattern->Matches(*event);
    const auto pattern_json = hearth::codec::ParseJson(pattern_text);
    if (event->is_object() && IsSimple(*pattern_json) && !HasArrays(*event) &&
        matches != MatchesNaively(*pattern_json, *event)) {
        std::abort();
    }
    return 0;
}
