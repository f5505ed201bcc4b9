#include "hearth/cloud/master_key_check.h"

#include "storage/keys/key.h"

#include <string>
#include <string_view>

namespace hearth::cloud {
namespace {

constexpr std::string_view kText = "hearth";
constexpr std::string_view kContext = "master-key-check";

}  // namespace

Task<Status> CheckMasterKey(storage::Kv& kv, const codec::MasterKey& key) {
    const codec::SealingKey sealing = key.Derive("master-key-check");
    const std::string at = storage::keys::Key::AboveAccounts().Add("master-key").Add("check");
    HEARTH_CO_TRY(const auto stored, co_await kv.Get(at));
    if (!stored) {
        co_return co_await kv.Put(at, sealing.Seal(kText, kContext));
    }
    const auto opened = sealing.Open(*stored, kContext);
    if (!opened.ok() || *opened != kText) {
        co_return errors::Malformed(
            "the master key is not the one that this data was written with; put the right "
            "master.key back (or name it with --master-key-file)");
    }
    co_return Status();
}

}  // namespace hearth::cloud
