#include "hearth/cloud/cloud.h"

#include "aws/auth/root_credentials.h"
#include "aws/auth/session_issuer.h"
#include "aws/front/gateway.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "codec/crypto/master_key.h"
#include "flow/clock_advance.h"
#include "flow/courier.h"
#include "flow/due_times.h"
#include "flow/durable_cloud_clock.h"
#include "flow/schedule.h"
#include "flow/wakes.h"
#include "hearth/cloud/master_key_check.h"
#include "hearth/cloud/own_endpoints.h"
#include "hearth/cloud/tls_setup.h"
#include "http/server.h"
#include "rt/blocking_pool.h"
#include "rt/loops.h"
#include "sandbox/host_sandbox.h"
#include "services/all_services.h"
#include "storage/blob/file_blob_store.h"
#include "storage/data_directory.h"
#include "storage/rocksdb/rocksdb_kv.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <future>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::cloud {
namespace {

// What is in flight may take this long to end after SIGTERM; the keeper waits a little longer.
constexpr std::chrono::seconds kStopGrace{25};
// sysexits' EX_TEMPFAIL: the same start may succeed.
constexpr int kExitForRestart = 75;
// Deliveries under way may end by themselves for so long; what does not is delivered again by the
// next process.
constexpr std::chrono::seconds kDrainGrace{2};

int CoresOfThisProcess() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 2;
    }
    return std::max(1, CPU_COUNT(&set));
}

Result<codec::MasterKey> LoadMasterKey(const CloudOptions& options) {
    if (options.master_key_fd >= 0) {
        return codec::MasterKey::FromFd(options.master_key_fd);
    }
    return codec::MasterKey::LoadOrMake("master.key");
}

struct Secrets {
    codec::MasterKey master_key;
    aws::RootCredentials root;
};

Result<Secrets> LoadSecrets(const CloudOptions& options, Random& random) {
    HEARTH_TRY(codec::MasterKey master_key, LoadMasterKey(options));
    HEARTH_TRY(aws::RootCredentials root, aws::RootCredentials::LoadOrMake("credentials", random));
    return Secrets{std::move(master_key), std::move(root)};
}

ServiceOptions ServiceOptionsOf(const CloudOptions& options) {
    ServiceOptions made;
    made.enforce = options.enforce;
    made.lenient = options.lenient;
    made.test_clock = options.test_clock;
    made.endpoint = options.endpoint;
    made.isolation = options.isolation;
    made.egress = options.egress;
    made.cpu_exact = options.cpu_exact;
    made.library_directory = options.library;
    made.runtime_paths = options.runtimes;
    made.runtimes_exact = options.runtimes_exact;
    made.account_concurrency = options.account_concurrency;
    made.scrub_days = options.scrub_days;
    made.spares = options.spares;
    made.spare_memory_mb = options.spare_memory_mb;
    made.snapstart_as_aws = options.snapstart_as_aws;
    made.snapshot_latest = options.snapshot_latest;
    made.hot_reload_directory = options.hot_reload;
    made.hot_reload_fd = options.hot_reload_fd;
    made.tiers = options.tiers;
    made.sync = options.sync;
    made.encrypt_at_rest = options.encrypt_at_rest;
    return made;
}

}  // namespace

// In the order in which they are made; destroyed in the opposite one.
struct Cloud::Parts {
    std::shared_ptr<MonotonicClock> monotonic_clock = MonotonicClock::System();
    std::shared_ptr<WallClock> wall_clock = WallClock::System();
    std::shared_ptr<Random> random = Random::System();
    std::optional<codec::MasterKey> master_key;
    std::optional<aws::RootCredentials> root;
    std::optional<aws::SessionIssuer> sessions;
    std::unique_ptr<rt::Loops> loops;
    std::unique_ptr<rt::BlockingPool> blocking_pool;
    std::optional<storage::DataDirectory> data;
    std::unique_ptr<storage::RocksDbKv> kv;
    std::unique_ptr<storage::FileBlobStore> blobs;
    std::unique_ptr<flow::DurableCloudClock> cloud_clock;
    std::unique_ptr<flow::Schedule> schedule;
    std::unique_ptr<flow::Wakes> wakes;
    std::unique_ptr<flow::DueTimes> due_times;
    aws::Metrics metrics;
    std::unique_ptr<flow::Courier> courier;
    std::optional<flow::ClockAdvance> clock_advance;
    std::unique_ptr<sandbox::HostSandbox> sandbox;
    aws::AdminEndpoints admin;
    aws::Sites sites;
    std::unique_ptr<aws::GatewayDoors> doors;
    std::unique_ptr<aws::Dispatcher> dispatcher;
    std::unique_ptr<aws::Authenticator> authenticator;
    ServiceOptions service_options;
    std::optional<ServiceDeps> deps;
    AllServices services;
    std::optional<OwnEndpointsView> own_endpoints;
    std::unique_ptr<aws::Gateway> gateway;
    std::vector<std::unique_ptr<http::Server>> servers;

    size_t services_started = 0;
    bool schedule_started = false;
    bool courier_started = false;
    bool sandbox_started = false;

    Status OpenStores(const CloudOptions& options);
    Status MakeServices(const CloudOptions& options);
    Task<Status> StartServices();
    Status Listen(const CloudOptions& options);
    Task<void> StopAll();
};

Status Cloud::Parts::OpenStores(const CloudOptions& options) {
    // Before anything is read: data of a newer version must not be touched.
    HEARTH_TRY(data, storage::DataDirectory::Open("."));
    loops =
        std::make_unique<rt::Loops>(options.threads > 0 ? options.threads : CoresOfThisProcess());
    blocking_pool = std::make_unique<rt::BlockingPool>(rt::BlockingPool::Options{});
    storage::RocksDbOptions store;
    store.durability = options.sync ? storage::Durability::kSync : storage::Durability::kRelaxed;
    store.clock = monotonic_clock;
    store.pool = blocking_pool.get();
    store.on_room_again = [] {
        // Everything acknowledged is on the disk, and nobody was told of anything else: this is
        // kill -9 with a reason. The keeper starts the next one.
        log::Error(
            "the store's log ran out of room and there is room again: this cloud ends, so that the "
            "next one reads the log and goes on");
        std::_Exit(kExitForRestart);
    };
    // A first start makes the secrets and syncs them, which takes as long as making the store; so
    // both at once.
    std::future<Result<Secrets>> secrets =
        std::async(std::launch::async, [&] { return LoadSecrets(options, *random); });
    auto opened = storage::OpenRocksDb("kv", std::move(store));
    HEARTH_TRY(auto loaded, secrets.get());
    HEARTH_TRY(kv, std::move(opened));
    master_key.emplace(std::move(loaded.master_key));
    root.emplace(std::move(loaded.root));
    HEARTH_RETURN_IF_ERROR(
        rt::BlockOn(*loops, 0, [this] { return CheckMasterKey(*kv, *master_key); }));
    sessions.emplace(*master_key, *wall_clock, *random);
    HEARTH_TRY(
        blobs,
        storage::OpenFileBlobStore(
            "blobs", *blocking_pool, storage::FileBlobStoreOptions{.sync = options.sync}));
    HEARTH_TRY(cloud_clock, rt::BlockOn(*loops, 0, [this] {
                   return flow::DurableCloudClock::Load(*kv, *wall_clock);
               }));
    schedule =
        std::make_unique<flow::Schedule>(*kv, *cloud_clock, *loops, flow::Schedule::Options{});
    wakes = std::make_unique<flow::Wakes>(*loops);
    due_times = std::make_unique<flow::DueTimes>(*cloud_clock, *loops);
    courier = std::make_unique<flow::Courier>(flow::Courier::Deps{
        .kv = *kv,
        .clock = *cloud_clock,
        .due_times = *due_times,
        .random = *random,
        .loops = *loops,
        .metrics = &metrics});
    if (options.test_clock) {
        clock_advance.emplace(*cloud_clock, *schedule, due_times.get(), courier.get());
    }
    return Status();
}

Status Cloud::Parts::MakeServices(const CloudOptions& options) {
    if (options.host_fd >= 0) {
        sandbox = std::make_unique<sandbox::HostSandbox>(
            *loops, os::Fd(options.host_fd), random, blocking_pool.get());
    }
    doors = std::make_unique<aws::GatewayDoors>(*loops);
    dispatcher = std::make_unique<aws::Dispatcher>(metrics, *wall_clock, *monotonic_clock, *random);
    authenticator =
        std::make_unique<aws::Authenticator>(*root, *sessions, *wall_clock, options.enforce);
    service_options = ServiceOptionsOf(options);
    deps.emplace(ServiceDeps{
        .kv = *kv,
        .blobs = *blobs,
        .schedule = *schedule,
        .wakes = *wakes,
        .due_times = *due_times,
        .courier = *courier,
        .monotonic_clock = *monotonic_clock,
        .wall_clock = *wall_clock,
        .cloud_clock = *cloud_clock,
        .random = *random,
        .loops = *loops,
        .blocking_pool = *blocking_pool,
        .sandbox = sandbox.get(),
        .metrics = metrics,
        .admin = admin,
        .sites = sites,
        .doors = *doors,
        .client = *dispatcher,
        .sessions = *sessions,
        .master_key = *master_key,
        .options = service_options});
    services = MakeAllServices(*deps);
    authenticator->SetDirectory(services.access_keys);
    std::vector<aws::ServiceApi*> apis;
    for (const auto& service : services.services) {
        apis.push_back(service.get());
    }
    dispatcher->SetServices(std::move(apis));
    own_endpoints.emplace(OwnEndpointsView{
        .options = options,
        .threads = loops->size(),
        .dispatcher = *dispatcher,
        .metrics = metrics,
        .wall_clock = *wall_clock,
        .cloud_clock = *cloud_clock,
        .sandbox = sandbox.get(),
        .clock_advance = clock_advance ? &*clock_advance : nullptr,
        .courier = courier.get()});
    AddOwnEndpoints(admin, *own_endpoints);
    gateway = std::make_unique<aws::Gateway>(aws::Gateway::Parts{
        .dispatcher = *dispatcher,
        .authenticator = *authenticator,
        .admin = admin,
        .metrics = metrics,
        .wall_clock = *wall_clock,
        .monotonic_clock = *monotonic_clock,
        .random = *random,
        .limits = {},
        .sites = &sites});
    own_endpoints->gateway = gateway.get();
    doors->SetGateway(*gateway);
    return Status();
}

Task<Status> Cloud::Parts::StartServices() {
    if (sandbox != nullptr) {
        HEARTH_CO_RETURN_IF_ERROR(co_await sandbox->Start());
        sandbox_started = true;
    }
    for (const auto& service : services.services) {
        HEARTH_CO_RETURN_IF_ERROR(co_await service->Start());
        ++services_started;
    }
    // Last, because their handlers are the services'.
    HEARTH_CO_RETURN_IF_ERROR(co_await courier->Start());
    courier_started = true;
    HEARTH_CO_RETURN_IF_ERROR(co_await schedule->Start());
    schedule_started = true;
    co_return Status();
}

Status Cloud::Parts::Listen(const CloudOptions& options) {
    http::ServerOptions server_options;
    // Browsers and SDKs keep theirs while they think: with room for 10,000 of them, others still
    // get in.
    server_options.connections_max = 20'000;
    HEARTH_TRY(server_options.tls, MakeTls(options, *wall_clock));
    for (const int fd : options.listen_fds) {
        servers.push_back(
            std::make_unique<http::Server>(*loops, os::Fd(fd), gateway->handler(), server_options));
    }
    for (const auto& server : servers) {
        server->Start();
    }
    return Status();
}

Task<void> Cloud::Parts::StopAll() {
    admin.BeginStop();
    for (const auto& server : servers) {
        co_await server->Stop(kStopGrace);
    }
    if (schedule_started) {
        co_await schedule->Stop();
    }
    if (courier_started) {
        co_await courier->Drain(kDrainGrace);
    }
    while (services_started > 0) {
        co_await services.services[--services_started]->Stop();
    }
    // After the services, which end what their functions still do.
    if (courier_started) {
        co_await courier->Stop();
    }
    if (sandbox_started) {
        co_await sandbox->Stop();
    }
}

Cloud::Cloud(CloudOptions options)
    : options_(std::move(options)), parts_(std::make_unique<Parts>()) {}

Cloud::~Cloud() {
    Stop();
}

Status Cloud::Start() {
    const auto began = parts_->monotonic_clock->Now();
    const auto note = [this, began](std::string_view phase) {
        const auto since = parts_->monotonic_clock->Now() - began;
        log::Debug(
            "start: {} after {} us",
            phase,
            std::chrono::duration_cast<std::chrono::microseconds>(since).count());
    };
    HEARTH_RETURN_IF_ERROR(parts_->OpenStores(options_));
    note("stores are open");
    HEARTH_RETURN_IF_ERROR(parts_->MakeServices(options_));
    note("services are made");
    HEARTH_RETURN_IF_ERROR(
        rt::BlockOn(*parts_->loops, 0, [this] { return parts_->StartServices(); }));
    note("services run");
    if (options_.enforce) {
        log::Info(
            "--auth enforce: every call is verified; calls are not yet authorised against "
            "policies");
    }
    return parts_->Listen(options_);
}

void Cloud::Stop() {
    if (parts_ == nullptr) {
        return;
    }
    if (parts_->loops != nullptr) {
        rt::BlockOn(*parts_->loops, 0, [this] { return parts_->StopAll(); });
    }
    parts_.reset();
}

}  // namespace hearth::cloud
