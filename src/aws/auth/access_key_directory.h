#pragma once

#include "aws/front/context.h"
#include "base/result.h"
#include "rt/task.h"

#include <optional>
#include <string>
#include <string_view>

namespace hearth::aws {

struct AccessKey {
    std::string secret;
    // Who signs with it; `verified` and `access_key_id` are filled in by the gateway.
    Caller caller;
    // An inactive key is known, so open mode does not believe it: refused in both modes.
    bool active = true;
};

// Long-lived keys that Hearth keeps (IAM users'). The root key and session keys are not in it: the
// gateway knows them by itself. Called from any loop, for each request signed with such a key, so
// it should answer from memory or the store's cache.
class AccessKeyDirectory {
  public:
    virtual ~AccessKeyDirectory() = default;

    virtual Task<Result<std::optional<AccessKey>>> Find(std::string_view access_key_id) = 0;

    // A call with a valid signature was made, for GetAccessKeyLastUsed. Must not block.
    virtual void NoteUse(
        std::string_view /*access_key_id*/,
        std::string_view /*service*/,
        std::string_view /*region*/,
        WallClock::time_point /*when*/) {}
};

}  // namespace hearth::aws
