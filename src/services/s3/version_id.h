#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Version ids: 32 characters, opaque to clients, made of a version's sequence and 16 random bytes,
// so that a version is found by one point read. 24 bytes in an alphabet of 64 that needs no
// escaping in a URL.
namespace hearth::s3 {

// `unique`: the version's sixteen random bytes.
std::string MakeVersionId(int64_t sequence, std::string_view unique);

// The sequence inside; empty for what MakeVersionId never makes.
std::optional<int64_t> SequenceOfVersionId(std::string_view version_id);

}  // namespace hearth::s3
