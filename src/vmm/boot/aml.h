#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

// ACPI's byte code, as far as device descriptions need it: scopes, devices, names, resources
// (ACPI 6.5, chapters 20 and 6.4). Each function gives the bytes of one term.
namespace hearth::vmm::boot::aml {

using Bytes = std::vector<std::byte>;

// `name` is one segment of four characters; a scope's may be an absolute path of one ("\\_SB_").
Bytes Scope(std::string_view name, std::initializer_list<Bytes> terms);
Bytes Scope(std::string_view name, std::span<const Bytes> terms);
Bytes Device(std::string_view name, std::initializer_list<Bytes> terms);
Bytes Name(std::string_view name, const Bytes& value);

Bytes Integer(std::uint32_t value);
Bytes String(std::string_view text);
// "PNP0501" as the compressed number that _HID and _CID take.
Bytes EisaId(std::string_view id);

// A resource template of the descriptors below.
Bytes ResourceTemplate(std::initializer_list<Bytes> resources);
Bytes IoPorts(std::uint16_t base, std::uint8_t count);
// An edge-triggered, active-high interrupt that nobody shares.
Bytes EdgeInterrupt(std::uint32_t gsi);
Bytes Memory32(std::uint32_t start, std::uint32_t bytes);

}  // namespace hearth::vmm::boot::aml
