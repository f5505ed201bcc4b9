#include "services/lambda/data_plane.h"

#include "aws/front/admin.h"
#include "base/log.h"
#include "codec/json/json.h"
#include "services/lambda/response_stream.h"

#include <unistd.h>

#include <functional>
#include <string_view>
#include <utility>

namespace hearth::lambda {

namespace {

// More ids than AWS ever had.
constexpr size_t kRuntimesDescribedMax = 100;

uint64_t PhysicalBytes() {
    return static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
           static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

DataPlane::DataPlane(
    const ServiceDeps& deps,
    CodeCache& code,
    ConcurrencyLimits& concurrency,
    LogSink& logs,
    RoleDirectory* roles)
    : loops_(deps.loops),
      sandbox_(deps.sandbox),
      runtimes_(
          RuntimeCatalog::Options{
              .library_directory = deps.options.library_directory,
              .paths = deps.options.runtime_paths,
              .exact = deps.options.runtimes_exact,
              .search_directories = RuntimeCatalog::DefaultSearchDirectories()},
          deps.blocking_pool),
      concurrency_(concurrency),
      spares_(deps.options.spares),
      spare_memory_mb_(deps.options.spare_memory_mb),
      metrics_(deps.metrics) {
    if (sandbox_ != nullptr) {
        environment_deps_ = std::make_unique<EnvironmentDeps>(EnvironmentDeps{
            .sandbox = *sandbox_,
            .runtimes = runtimes_,
            .code = code,
            .logs = logs,
            .wall_clock = deps.wall_clock,
            .random = deps.random,
            .sessions = &deps.sessions,
            .roles = roles,
            .doors = &deps.doors,
            .egress = deps.options.egress,
            .cpu_exact = deps.options.cpu_exact});
    }
    deps.admin.Add(
        "GET",
        "/_hearth/slots",
        [this](aws::AdminRequest request) -> Task<Result<aws::AdminAnswer>> {
            aws::AdminAnswer answer;
            answer.body = co_await Describe(request.account);
            co_return answer;
        });
    deps.admin.Add(
        "DELETE",
        "/_hearth/slots",
        [this](aws::AdminRequest request) -> Task<Result<aws::AdminAnswer>> {
            aws::AdminAnswer answer;
            const Slots::Eviction what{
                .account = request.account,
                .name = request.Query("function"),
                .spares = request.Query("spares") != "keep",
                .templates = request.Query("templates") == "true"};
            answer.body = co_await Evict(what);
            co_return answer;
        });
    deps.admin.Add(
        "GET",
        "/_hearth/runtimes",
        [this](aws::AdminRequest request) -> Task<Result<aws::AdminAnswer>> {
            aws::AdminAnswer answer;
            answer.body = co_await DescribeRuntimes(request.Query("names"));
            co_return answer;
        });
}

DataPlane::~DataPlane() = default;

Task<Status> DataPlane::Start() {
    if (environment_deps_ == nullptr) {
        co_return Status();
    }
    Slots::Options options;
    // Two starts per processor keep it busy while one of them waits.
    const auto processors = static_cast<int64_t>(std::thread::hardware_concurrency());
    options.cold_starts_max = std::max<int64_t>(2, (2 * processors + 1) / loops_.size());
    options.restores_max = std::max<int64_t>(2, (4 * processors) / loops_.size());
    options.spares = spares_;
    const uint64_t spare_bytes =
        spare_memory_mb_ > 0 ? static_cast<uint64_t>(spare_memory_mb_) << 20 : PhysicalBytes() / 8;
    options.spare_bytes_max = spare_bytes / static_cast<uint64_t>(loops_.size());
    for (int i = 0; i < loops_.size(); ++i) {
        shards_.push_back(
            std::make_unique<Slots>(*environment_deps_, options, concurrency_, metrics_));
    }
    co_return Status();
}

Task<void> DataPlane::Stop() {
    // All at once: an environment's end takes a moment and there may be many.
    rt::TaskGroup group;
    for (int i = 0; i < static_cast<int>(shards_.size()); ++i) {
        Slots& shard = *shards_[static_cast<size_t>(i)];
        group.Spawn([this, i, &shard]() -> Task<void> {
            co_await rt::RunOn(loops_, i, [&shard] { return shard.Stop(); });
        });
    }
    co_await group.Join();
    shards_.clear();
}

int DataPlane::ShardOf(
    const AccountId& account, const Region& region, std::string_view name) const {
    const std::hash<std::string_view> hash;
    return loops_.IndexOf(hash(account.text()) * 31 * 31 + hash(region.text()) * 31 + hash(name));
}

Task<Result<InvokeResult>> DataPlane::Invoke(
    std::shared_ptr<const FunctionVersion> function, InvokeRequest request) {
    if (shards_.empty()) {
        co_return errors::Unavailable(
            "functions cannot run here: there is no host process (--isolation)");
    }
    const int index = ShardOf(function->account, function->region, function->name);
    Slots& shard = *shards_[static_cast<size_t>(index)];
    co_return co_await rt::RunOn(
        loops_, index, [&] { return shard.Invoke(std::move(function), std::move(request)); });
}

Task<Result<std::unique_ptr<StreamedInvocation>>> DataPlane::InvokeStreaming(
    std::shared_ptr<const FunctionVersion> function, InvokeRequest request) {
    if (shards_.empty()) {
        co_return errors::Unavailable(
            "functions cannot run here: there is no host process (--isolation)");
    }
    const int index = ShardOf(function->account, function->region, function->name);
    Slots& shard = *shards_[static_cast<size_t>(index)];
    const auto stream = std::make_shared<ResponseStream>();
    request.stream = stream;
    HEARTH_CO_RETURN_IF_ERROR(co_await rt::RunOn(loops_, index, [&] {
        return shard.InvokeStreaming(std::move(function), std::move(request));
    }));
    co_return MakeStreamReader(loops_, index, stream);
}

bool DataPlane::can_save_snapshots() const {
    return sandbox_ != nullptr && sandbox_->CanSave();
}

Task<Result<SnapshotOutcome>> DataPlane::SaveSnapshot(
    std::shared_ptr<const FunctionVersion> function, std::string image) {
    if (shards_.empty()) {
        co_return SnapshotOutcome{
            .kind = SnapshotOutcome::Kind::kNotPossible,
            .reason = "functions cannot run here: there is no host process (--isolation)",
            .reason_code = {},
            .source = {}};
    }
    const int index = ShardOf(function->account, function->region, function->name);
    Slots& shard = *shards_[static_cast<size_t>(index)];
    co_return co_await rt::RunOn(
        loops_, index, [&] { return shard.SaveSnapshot(std::move(function), std::move(image)); });
}

void DataPlane::ForgetSnapshot(const std::string& image) {
    for (int i = 0; i < static_cast<int>(shards_.size()); ++i) {
        Slots* const shard = shards_[static_cast<size_t>(i)].get();
        loops_.Post(i, [shard, image] { shard->ForgetSnapshot(image); });
    }
}

Task<void> DataPlane::Retire(
    AccountId account,
    Region region,
    std::string name,
    std::string version,
    std::string keep_revision) {
    if (shards_.empty()) {
        co_return;
    }
    const int index = ShardOf(account, region, name);
    Slots& shard = *shards_[static_cast<size_t>(index)];
    co_await rt::RunOn(loops_, index, [&]() -> Task<void> {
        shard.Retire(account, region, name, version, keep_revision);
        co_return;
    });
}

Task<std::string> DataPlane::Describe(AccountId account) {
    codec::Json::Array functions;
    for (int i = 0; i < static_cast<int>(shards_.size()); ++i) {
        const Slots& shard = *shards_[static_cast<size_t>(i)];
        auto part = co_await rt::RunOn(loops_, i, [&]() -> Task<codec::Json::Array> {
            codec::Json::Array described;
            shard.Describe(described);
            co_return described;
        });
        for (codec::Json& one : part) {
            const std::string* owner = one.FindString("account");
            if (owner != nullptr && *owner == account.text()) {
                functions.push_back(std::move(one));
            }
        }
    }
    codec::Json answer;
    answer.Set("functions", std::move(functions));
    co_return codec::WriteJson(answer);
}

Task<std::string> DataPlane::Evict(Slots::Eviction what) {
    uint64_t evicted = 0;
    for (int i = 0; i < static_cast<int>(shards_.size()); ++i) {
        Slots& shard = *shards_[static_cast<size_t>(i)];
        evicted += co_await rt::RunOn(loops_, i, [&] { return shard.Evict(what); });
    }
    codec::Json answer;
    answer.Set("evicted", evicted);
    co_return codec::WriteJson(answer);
}

Task<std::string> DataPlane::DescribeRuntimes(std::string names) {
    codec::Json::Array runtimes;
    std::string_view rest = names;
    while (!rest.empty() && runtimes.size() < kRuntimesDescribedMax) {
        const size_t end = std::min(rest.find(','), rest.size());
        const std::string name(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        const auto plan = co_await runtimes_.Plan(name);
        codec::Json one;
        one.Set("runtime", name);
        if (plan.ok()) {
            one.Set("version", plan->version);
            one.Set("note", plan->substitution);
        } else {
            one.Set("error", plan.error().message());
        }
        runtimes.push_back(std::move(one));
    }
    codec::Json answer;
    answer.Set("runtimes", std::move(runtimes));
    co_return codec::WriteJson(answer);
}

}  // namespace hearth::lambda
