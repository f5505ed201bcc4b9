#include "storage/memory/memory_kv.h"

#include "storage/optimistic/transaction_buffer.h"

#include <map>
#include <mutex>
#include <random>
#include <set>

namespace hearth::storage {
namespace {

using optimistic::PageBuilder;
using optimistic::ReadSet;
using optimistic::TransactionBuffer;
using optimistic::WriteSet;

constexpr std::chrono::seconds kTransactionAgeMax{5};

// All versions that some open transaction may still have to see.
class VersionedMap final {
  public:
    std::optional<std::string> Read(std::string_view key, uint64_t at) const {
        const auto found = keys_.find(key);
        return found == keys_.end() ? std::nullopt : At(found->second, at);
    }

    RangePage ReadRange(const RangeRequest& request, uint64_t at) const {
        PageBuilder builder(request);
        auto from = keys_.lower_bound(request.begin);
        auto to = keys_.lower_bound(request.end);
        while (from != to) {
            const auto here = request.reverse ? std::prev(to) : from;
            if (const auto value = At(here->second, at)) {
                if (builder.Full()) {
                    return builder.Take(builder.NextAfterLast());
                }
                builder.Add(here->first, *value);
            }
            (request.reverse ? to : from) = request.reverse ? here : std::next(here);
        }
        return builder.Take(std::nullopt);
    }

    bool ChangedSince(const ReadSet& reads, uint64_t at) const {
        for (const std::string& key : reads.points) {
            const auto found = keys_.find(key);
            if (found != keys_.end() && found->second.back().sequence > at) {
                return true;
            }
        }
        for (const auto& [begin, end] : reads.ranges) {
            for (auto it = keys_.lower_bound(begin); it != keys_.end() && it->first < end; ++it) {
                if (it->second.back().sequence > at) {
                    return true;
                }
            }
        }
        return false;
    }

    void Apply(const WriteSet& writes, uint64_t sequence) {
        for (const auto& [key, value] : writes) {
            keys_[key].push_back({sequence, value});
            written_.insert(key);
        }
    }

    // Forgets versions that nobody at `oldest` or later can see.
    void Forget(uint64_t oldest) {
        for (auto key = written_.begin(); key != written_.end();) {
            const auto found = keys_.find(*key);
            auto& versions = found->second;
            size_t keep = versions.size() - 1;
            while (keep > 0 && versions[keep].sequence > oldest) {
                --keep;
            }
            versions.erase(versions.begin(), versions.begin() + static_cast<ptrdiff_t>(keep));
            const bool settled = versions.size() == 1 && versions.front().sequence <= oldest;
            if (settled && !versions.front().value) {
                keys_.erase(found);
            }
            key = settled ? written_.erase(key) : std::next(key);
        }
    }

  private:
    struct Version {
        uint64_t sequence;
        std::optional<std::string> value;
    };

    static std::optional<std::string> At(const std::vector<Version>& versions, uint64_t at) {
        for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
            if (version->sequence <= at) {
                return version->value;
            }
        }
        return std::nullopt;
    }

    std::map<std::string, std::vector<Version>, std::less<>> keys_;
    // Keys with more than one version or a deletion to forget.
    std::set<std::string> written_;
};

class MemoryKv final : public Kv {
  public:
    explicit MemoryKv(MemoryKvOptions options)
        : options_(std::move(options)), random_(options_.seed) {}

    Task<Result<std::optional<std::string>>> Get(std::string_view key) override {
        HEARTH_CO_RETURN_IF_ERROR(optimistic::CheckKey(key));
        const std::lock_guard lock(mutex_);
        co_return map_.Read(key, sequence_);
    }

    Task<Result<RangePage>> Range(RangeRequest request) override {
        HEARTH_CO_RETURN_IF_ERROR(optimistic::CheckRange(request));
        if (request.begin >= request.end) {
            co_return RangePage{};
        }
        const std::lock_guard lock(mutex_);
        co_return map_.ReadRange(request, sequence_);
    }

    Task<Status> Transact(Body body) override {
        for (int attempt = 0; attempt <= kConflictRetriesMax; ++attempt) {
            OpenSnapshot snapshot(*this);
            TransactionBuffer transaction(snapshot);
            const auto begun = options_.clock->Now();
            HEARTH_CO_RETURN_IF_ERROR(co_await body(transaction));
            HEARTH_CO_RETURN_IF_ERROR(transaction.CheckLimits());
            if (options_.clock->Now() - begun > kTransactionAgeMax) {
                continue;
            }
            Status committed = Commit(transaction, snapshot.sequence());
            if (committed.ok() || committed.error().kind() != Error::Kind::kConflict) {
                co_return committed;
            }
        }
        co_return optimistic::ConflictError();
    }

  private:
    class OpenSnapshot final : public optimistic::Snapshot {
      public:
        explicit OpenSnapshot(MemoryKv& kv) : kv_(kv) {
            const std::lock_guard lock(kv_.mutex_);
            position_ = kv_.open_.insert(kv_.sequence_);
        }

        ~OpenSnapshot() override {
            const std::lock_guard lock(kv_.mutex_);
            kv_.open_.erase(position_);
            kv_.map_.Forget(kv_.open_.empty() ? kv_.sequence_ : *kv_.open_.begin());
        }

        OpenSnapshot(const OpenSnapshot&) = delete;
        OpenSnapshot& operator=(const OpenSnapshot&) = delete;

        uint64_t sequence() const { return *position_; }

        Task<Result<std::optional<std::string>>> Read(std::string_view key) override {
            const std::lock_guard lock(kv_.mutex_);
            co_return kv_.map_.Read(key, sequence());
        }

        Task<Result<RangePage>> ReadRange(const RangeRequest& request) override {
            const std::lock_guard lock(kv_.mutex_);
            co_return kv_.map_.ReadRange(request, sequence());
        }

      private:
        MemoryKv& kv_;
        std::multiset<uint64_t>::iterator position_;
    };

    Status Commit(const TransactionBuffer& transaction, uint64_t snapshot) {
        const std::lock_guard lock(mutex_);
        if (Happens(options_.conflict_per_mille)) {
            return optimistic::ConflictError();
        }
        // A transaction that only read saw one state, which is all that serialisable asks of it.
        if (transaction.writes().empty()) {
            return Status();
        }
        if (map_.ChangedSince(transaction.reads(), snapshot)) {
            return optimistic::ConflictError();
        }
        const bool unknown = Happens(options_.unknown_per_mille);
        if (!unknown || random_() % 2 == 0) {
            map_.Apply(transaction.writes(), ++sequence_);
        }
        if (unknown) {
            return optimistic::UnknownError("injected by the test");
        }
        return Status();
    }

    bool Happens(uint32_t per_mille) { return per_mille > 0 && random_() % 1000 < per_mille; }

    const MemoryKvOptions options_;
    std::mutex mutex_;
    std::mt19937_64 random_;
    VersionedMap map_;
    uint64_t sequence_ = 0;
    std::multiset<uint64_t> open_;
};

}  // namespace

std::unique_ptr<Kv> MakeMemoryKv(MemoryKvOptions options) {
    return std::make_unique<MemoryKv>(std::move(options));
}

}  // namespace hearth::storage
