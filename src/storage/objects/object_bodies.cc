#include "storage/objects/object_bodies.h"

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "storage/objects/body_check.h"
#include "storage/objects/body_core.h"
#include "storage/objects/body_download.h"
#include "storage/objects/body_upload.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace hearth::storage {
namespace {

// Uploads and downloads beyond it go on with small buffers.
constexpr size_t kBufferBudgetBytes = size_t{48} << 20;
constexpr size_t kOwnerBytesMax = 256;

int WorkThreads() {
    return std::clamp(2 * static_cast<int>(std::thread::hardware_concurrency()), 4, 32);
}

class Bodies final : public ObjectBodies {
  public:
    explicit Bodies(std::unique_ptr<BodyCore> core) : core_(std::move(core)) {}

    Task<Result<std::unique_ptr<BodySink>>> Create(BodyOptions options) override {
        co_return MakeUpload(*core_, std::move(options));
    }

    Task<Result<std::unique_ptr<BodySource>>> Open(
        std::vector<StoredBody> bodies, OpenOptions options) override {
        return OpenDownload(*core_, std::move(bodies), options);
    }

    void Refer(Transaction& transaction, const StoredBody& body, std::string_view owner) override {
        if (body.is_inline()) {
            return;
        }
        // For who finds the file and wants to know what it is and whose.
        std::string claim = EncodeBodies({body});
        claim += owner.substr(0, kOwnerBytesMax);
        transaction.Put(ClaimKey(body.id), std::move(claim));
    }

    void Drop(Transaction& transaction, const std::vector<StoredBody>& bodies) override {
        if (const uint64_t first_id = FirstFileId(bodies); first_id != 0) {
            transaction.Put(TrashKey(first_id), EncodeBodies(ForTrash(bodies)));
        }
    }

    void Dropped(const std::vector<StoredBody>& bodies) override {
        core_->remover.Dropped(ForTrash(bodies));
    }

    Task<Result<FinishedBody>> Move(
        const StoredBody& body, BodyTier tier, std::optional<CustomerKey> customer_key) override {
        if (body.is_inline() || body.tier == tier) {
            co_return FinishedBody(body, {}, nullptr);
        }
        OpenOptions open;
        open.customer_key = customer_key;
        HEARTH_CO_TRY(auto source, co_await OpenDownload(*core_, {body}, open));
        BodyOptions create;
        create.expected_length = body.length;
        create.hashes = {};
        create.always_file = true;
        create.tier = tier;
        if (body.encryption == BodyEncryption::kCustomer) {
            create.customer_key = customer_key;
        }
        const auto sink = MakeUpload(*core_, std::move(create));
        while (true) {
            HEARTH_CO_TRY(const std::string_view bytes, co_await source->Next());
            if (bytes.empty()) {
                break;
            }
            HEARTH_CO_RETURN_IF_ERROR(co_await sink->Write(bytes));
        }
        co_return co_await sink->Finish();
    }

    Task<Result<BodyCheck>> Check(const StoredBody& body, uint64_t bytes_per_second) override {
        if (body.is_inline()) {
            co_return BodyCheck{.bytes = body.length};
        }
        co_return co_await CheckBody(*core_, body, bytes_per_second, stopping_);
    }

    bool IsCustomerKey(const StoredBody& body, const CustomerKey& key) const override {
        return BodyKeys::IsCustomerKey(body, key);
    }

    Task<Status> Start() override {
        core_->remover.Start();
        co_return Status();
    }

    Task<void> Stop() override {
        stopping_ = true;
        co_await core_->remover.Stop();
    }

  private:
    // What the removal needs: the ids of files and their tiers. So the parts of the largest object
    // fit into one value.
    static std::vector<StoredBody> ForTrash(const std::vector<StoredBody>& bodies) {
        std::vector<StoredBody> trash;
        for (const StoredBody& body : bodies) {
            if (!body.is_inline()) {
                trash.push_back({.id = body.id, .tier = body.tier});
            }
        }
        return trash;
    }

    const std::unique_ptr<BodyCore> core_;
    std::atomic<bool> stopping_ = false;
};

}  // namespace

BodyCore::BodyCore(
    Kv& store,
    const codec::MasterKey& master_key,
    Random& randomness,
    ObjectBodiesOptions settings,
    BodyPlaces file_systems,
    std::unique_ptr<BodyEpochs> epoch_list)
    : kv(store),
      random(randomness),
      options(std::move(settings)),
      keys(master_key, randomness),
      places(std::move(file_systems)),
      epochs(std::move(epoch_list)),
      budget(kBufferBudgetBytes),
      sync_pool({.threads_max = 16, .name = "objects-sync"}),
      remover(kv, places, *epochs, pins, sync_pool),
      read_pool({.threads_max = WorkThreads(), .name = "objects-read"}),
      work_pool({.threads_max = WorkThreads(), .name = "objects-work"}) {}

BodyCore::~BodyCore() = default;

uint64_t BodyCore::InlineId() {
    return random.Uint64() | uint64_t{1} << 63;
}

void BodyCore::Discard(uint64_t id, BodyTier tier) {
    sync_pool.Post([this, id, tier] {
        const auto removed = places.Of(tier).Remove(BodyEpochs::PathOf(id));
        if (removed.ok()) {
            epochs->Settle(id);
        } else {
            // Its epoch stays open, so the next start tries again.
            log::Warn("objects: {}", removed.error().message());
        }
    });
}

Result<std::unique_ptr<ObjectBodies>> OpenObjectBodiesOn(
    BodyPlaces places,
    Kv& kv,
    const codec::MasterKey& master_key,
    Random& random,
    ObjectBodiesOptions options) {
    CHECK(options.inline_bytes_max <= kFrameBytes);
    HEARTH_TRY(auto epochs, BodyEpochs::Open(places.standard()));
    auto core = std::make_unique<BodyCore>(
        kv, master_key, random, std::move(options), std::move(places), std::move(epochs));
    return std::unique_ptr<ObjectBodies>(std::make_unique<Bodies>(std::move(core)));
}

Result<std::unique_ptr<ObjectBodies>> OpenObjectBodies(
    Kv& kv, const codec::MasterKey& master_key, Random& random, ObjectBodiesOptions options) {
    HEARTH_TRY(BodyPlaces places, BodyPlaces::Open(options));
    return OpenObjectBodiesOn(std::move(places), kv, master_key, random, std::move(options));
}

}  // namespace hearth::storage
