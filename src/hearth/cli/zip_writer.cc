#include "hearth/cli/zip_writer.h"

#include "base/check.h"

#include <array>

// Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.4.
namespace hearth::cli {
namespace {

constexpr uint16_t kVersionNeeded = 20;
constexpr uint16_t kMadeByUnix = 3U << 8U | 20U;
constexpr uint16_t kUtf8Names = 1U << 11U;
// 1980-01-01, the format's zero.
constexpr uint16_t kDate = 0x21;
constexpr uint32_t kRegularFile = 0100000;

void Put16(std::string* out, uint16_t value) {
    out->push_back(static_cast<char>(value & 0xFFU));
    out->push_back(static_cast<char>(value >> 8U));
}

void Put32(std::string* out, uint32_t value) {
    Put16(out, static_cast<uint16_t>(value & 0xFFFFU));
    Put16(out, static_cast<uint16_t>(value >> 16U));
}

uint32_t Crc32(std::string_view bytes) {
    static const auto kTable = [] {
        std::array<uint32_t, 256> table{};
        for (uint32_t i = 0; i < 256; ++i) {
            uint32_t value = i;
            for (int bit = 0; bit < 8; ++bit) {
                value = (value & 1U) != 0 ? 0xEDB88320U ^ (value >> 1U) : value >> 1U;
            }
            table[i] = value;
        }
        return table;
    }();
    uint32_t crc = 0xFFFFFFFFU;
    for (const char c : bytes) {
        crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xFFU] ^ (crc >> 8U);
    }
    return crc ^ 0xFFFFFFFFU;
}

// What local headers and directory entries share.
void PutCommon(std::string* out, const std::string& name, std::string_view content, uint32_t crc) {
    Put16(out, kVersionNeeded);
    Put16(out, kUtf8Names);
    Put16(out, 0);  // stored
    Put16(out, 0);  // time
    Put16(out, kDate);
    Put32(out, crc);
    Put32(out, static_cast<uint32_t>(content.size()));
    Put32(out, static_cast<uint32_t>(content.size()));
    Put16(out, static_cast<uint16_t>(name.size()));
    Put16(out, 0);  // extra field
}

}  // namespace

void ZipWriter::Add(const std::string& name, std::string_view content, uint32_t mode) {
    CHECK(name.size() < 0xFFFF && files_.size() + content.size() < 0xF0000000U && count_ < 0xFFFF);
    const auto offset = static_cast<uint32_t>(files_.size());
    const uint32_t crc = Crc32(content);
    Put32(&files_, 0x04034B50);
    PutCommon(&files_, name, content, crc);
    files_ += name;
    files_ += content;

    Put32(&directory_, 0x02014B50);
    Put16(&directory_, kMadeByUnix);
    PutCommon(&directory_, name, content, crc);
    Put16(&directory_, 0);  // comment
    Put16(&directory_, 0);  // disk
    Put16(&directory_, 0);  // internal attributes
    Put32(&directory_, (kRegularFile | mode) << 16U);
    Put32(&directory_, offset);
    directory_ += name;
    ++count_;
}

std::string ZipWriter::Finish() && {
    const auto directory_offset = static_cast<uint32_t>(files_.size());
    std::string zip = std::move(files_) + directory_;
    Put32(&zip, 0x06054B50);
    Put16(&zip, 0);
    Put16(&zip, 0);
    Put16(&zip, count_);
    Put16(&zip, count_);
    Put32(&zip, static_cast<uint32_t>(directory_.size()));
    Put32(&zip, directory_offset);
    Put16(&zip, 0);
    return zip;
}

}  // namespace hearth::cli
