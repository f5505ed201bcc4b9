#pragma once

#include "vmm/http/request.h"
#include "vmm/mmds/data_store.h"

#include <cstdint>

namespace hearth::vmm {

// Answers a guest's request for its metadata, as EC2's metadata service and Firecracker do.
//   GET              a resource of the store; version 2 wants the token of a session
//   PUT /latest/api/token   a new session's token
// Accept: application/json gives JSON, anything else the lines of the metadata service.
HttpResponse AnswerMetadataRequest(
    MmdsDataStore& store, const HttpRequest& request, std::uint64_t now_ns);

}  // namespace hearth::vmm
