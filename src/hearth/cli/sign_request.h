#pragma once

#include "http/blocking_client.h"

#include <ctime>
#include <string>

namespace hearth::cli {

struct Keys {
    std::string access_key_id;
    std::string secret_access_key;
    std::string session_token;
};

// Adds Host, X-Amz-Date, X-Amz-Content-Sha256, X-Amz-Security-Token and Authorization (SigV4).
// The request's target must be encoded already; `host` is what the client will send as Host.
void SignRequest(
    const Keys& keys,
    const std::string& service,
    const std::string& region,
    const std::string& host,
    std::time_t now,
    http::ClientRequest* request);

}  // namespace hearth::cli
