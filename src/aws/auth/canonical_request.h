#pragma once

#include "codec/crypto/crypto.h"

#include <span>
#include <string>
#include <string_view>
#include <utility>

// What the variants of Signature Version 4 have in common: the pieces of the text that is signed,
// and the key it is signed with. Internal to aws/auth.
namespace hearth::aws {

inline constexpr std::string_view kSignatureAlgorithm = "AWS4-HMAC-SHA256";
inline constexpr std::string_view kScopeTerminator = "aws4_request";

using HeaderSpan = std::span<const std::pair<std::string, std::string>>;

// Without the spaces and tabs around it.
std::string_view Trim(std::string_view text);

// Takes the text up to `separator` off the front of `rest`.
std::string_view TakeUntil(std::string_view& rest, char separator);

// A path as clients canonicalise it: without empty, "." and ".." segments, then encoded once more.
void AppendNormalPath(std::string& out, std::string_view path);

// S3's way: every segment counts, and the path is encoded once, whatever way it was received.
void AppendPathEncodedOnce(std::string& out, std::string_view path);

// Sorted, in AWS's encoding; without the parameter `without` (empty: with all of them).
void AppendQuery(std::string& out, std::string_view query, std::string_view without);

// "name:value\n" for each of `signed_headers`, which are separated by semicolons.
void AppendHeaders(std::string& out, HeaderSpan headers, std::string_view signed_headers);

bool IsSigned(std::string_view signed_headers, std::string_view name);

// Of this thread's table: good until the next call.
const codec::Sha256Digest& SigningKeyFor(
    std::string_view secret,
    std::string_view date,
    std::string_view region,
    std::string_view service);

}  // namespace hearth::aws
