#pragma once

#include "base/result.h"
#include "codec/crypto/master_key.h"
#include "rt/task.h"
#include "storage/kv.h"

namespace hearth::cloud {

// Whether `key` is the one that the secrets in this store are sealed with: a known text, sealed by
// the first start, must open. Without this a lost or mistaken key file would show much later, as
// secrets that cannot be read beside new ones that can.
//   errors  kInvalid, with what to do about it.
Task<Status> CheckMasterKey(storage::Kv& kv, const codec::MasterKey& key);

}  // namespace hearth::cloud
