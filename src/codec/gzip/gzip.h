#pragma once

#include <string>
#include <string_view>

namespace hearth::codec {

// RFC 1952, one member, without a name or a time: the same bytes give the same bytes.
std::string Gzip(std::string_view bytes);

}  // namespace hearth::codec
