#pragma once

#include "base/result.h"
#include "codec/json/json.h"
#include "vmm/config/config.h"
#include "vmm/mmds/token_authority.h"

#include <cstddef>
#include <string>
#include <string_view>

// The metadata a guest may read: a JSON document the host puts and patches, read by path.
namespace hearth::vmm {

enum class MmdsFormat { kJson, kImds };

class MmdsDataStore final {
  public:
    explicit MmdsDataStore(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    // Objects are kept with their members in the order of their names.
    //   errors  status 413: larger than the store may be, as JSON without white space.
    Status Put(codec::Json value);

    // RFC 7396: objects are merged, null removes, anything else replaces. Needs a Put before. On
    // an error, as Put's, nothing has changed.
    Status Patch(const codec::Json& patch);

    // The whole document as JSON; "{}" before the first Put.
    std::string Text() const;

    bool initialised() const { return initialised_; }

    // What is at a path ("/latest/meta-data/", trailing slash or not).
    //   kJson   the value's JSON
    //   kImds   a string as it is; an object as its keys, a line each, with "/" behind those that
    //           are objects themselves; anything else is an error.
    //   errors  kNotFound: nothing there; kInvalid: not to be had in that format.
    Result<std::string> Read(std::string_view path, MmdsFormat format) const;

    MmdsConfig config;      // who may ask, and how
    TokenAuthority tokens;  // of all interfaces: a token of one is good on another

  private:
    std::size_t bytes_max_;
    bool initialised_ = false;
    codec::Json value_;
};

}  // namespace hearth::vmm
