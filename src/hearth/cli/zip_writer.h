#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::cli {

// Makes a zip of stored (uncompressed) files: what `hearth dev` sends at each save, where time
// counts and size does not. Names and sizes stay far below the format's 32-bit limits.
class ZipWriter final {
  public:
    // `mode` is the Unix permission bits. Equal contents give equal zips: there is no timestamp.
    void Add(const std::string& name, std::string_view content, uint32_t mode);
    std::string Finish() &&;

  private:
    std::string files_;
    std::string directory_;
    uint16_t count_ = 0;
};

}  // namespace hearth::cli
