#pragma once

#include "base/clock.h"
#include "base/error.h"

#include <optional>
#include <string_view>

namespace hearth::aws {

// A signature that a request carries, read and not yet verified. Each scheme (the Authorization
// header, S3's header, query and form) reads its own and words its own errors; whose key it is, and
// whether to believe it, the Authenticator decides for all of them.
class ClaimedSignature {
  public:
    virtual ~ClaimedSignature() = default;

    virtual std::string_view access_key_id() const = 0;
    // Empty: none.
    virtual std::string_view session_token() const = 0;
    virtual std::string_view region() const = 0;

    // nullopt: it was made with `secret`, for this service and now.
    virtual std::optional<Error> Verify(std::string_view secret, WallClock::time_point now) = 0;

    // What the scheme says of a region that cannot be one.
    virtual Error BadRegion() const = 0;
    // Nobody has the key.
    virtual Error UnknownKey() const = 0;
    // The key is known, but the session token is not its.
    virtual Error BadToken() const = 0;
    virtual Error ExpiredSession() const = 0;
};

}  // namespace hearth::aws
