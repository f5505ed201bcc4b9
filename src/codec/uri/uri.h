#pragma once

#include "base/result.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Percent-encoding as AWS uses it (RFC 3986: everything but A-Z a-z 0-9 - _ . ~ is encoded, in
// upper case), and the two encodings of name-value lists: query strings and form bodies.
namespace hearth::codec {

// At most this many parameters in one query string or form.
inline constexpr size_t kQueryParametersMax = 10'000;

using QueryParameters = std::vector<std::pair<std::string, std::string>>;

// `keep_slash` leaves '/' as it is: for paths.
std::string PercentEncode(std::string_view text, bool keep_slash = false);

// "%41" -> "A"; '+' stays. A '%' without two hex digits is an error.
Result<std::string> PercentDecode(std::string_view text);

// "a=1&b=x%20y&c" in order of appearance; '+' is a space; empty pieces are passed over.
//   errors  a broken escape; more than kQueryParametersMax parameters.
Result<QueryParameters> ParseQuery(std::string_view query);

// The inverse: names and values percent-encoded.
std::string WriteQuery(const QueryParameters& parameters);

}  // namespace hearth::codec
