#include "vmm/virtio/block.h"

#include "base/log.h"
#include "vmm/virtio/guest_log.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace hearth::vmm::virtio {
namespace {

constexpr std::array<std::uint16_t, 1> kQueueSizes = {BlockDevice::kQueueSize};

// Feature bits and request types, virtio 1.2, sections 5.2.3 and 5.2.6.
constexpr std::uint64_t kFeatureSegmentsMax = 1 << 2;
constexpr std::uint64_t kFeatureReadOnly = 1 << 5;
constexpr std::uint64_t kFeatureFlush = 1 << 9;

constexpr std::uint32_t kTypeIn = 0;
constexpr std::uint32_t kTypeOut = 1;
constexpr std::uint32_t kTypeFlush = 4;
constexpr std::uint32_t kTypeGetId = 8;

constexpr std::byte kStatusOk{0};
constexpr std::byte kStatusIoError{1};
constexpr std::byte kStatusUnsupported{2};

constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kIdBytes = 20;

// A request may be of 4 GiB. Each of these counts as one more of a turn's requests, so that others
// are not kept waiting for the time of a terabyte.
constexpr std::uint32_t kBytesPerPartOfTurn = 1 << 20;

// Data buffers of one request: the queue less header and status.
constexpr std::uint32_t kSegmentsMax = BlockDevice::kQueueSize - 2;

std::uint64_t MicrosecondsNow() {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                          std::chrono::steady_clock::now().time_since_epoch())
                                          .count());
}

}  // namespace

struct BlockDevice::Request final {
    std::uint32_t type = 0;
    std::uint32_t data_bytes = 0;
    std::byte* status = nullptr;
    std::uint64_t start_us = 0;
    bool in_flight = false;
};

BlockDevice::BlockDevice(const BlockOptions& options, RateLimiter limiter)
    : options_(options), limiter_(std::move(limiter)), requests_(kQueueSize) {
    features_ = kCommonFeatures | kFeatureSegmentsMax;
    if (options_.read_only) {
        features_ |= kFeatureReadOnly;
    }
    if (options_.cache == BlockOptions::Cache::kWriteback) {
        features_ |= kFeatureFlush;
    }
}

Result<std::shared_ptr<BlockDevice>> BlockDevice::Create(
    const BlockOptions& options, std::shared_ptr<MonotonicClock> clock) {
    HEARTH_TRY(RateLimiter limiter, RateLimiter::Create(options.limits, std::move(clock)));
    auto device = std::shared_ptr<BlockDevice>(new BlockDevice(options, std::move(limiter)));
    HEARTH_RETURN_IF_ERROR(device->Open(options.path));
    return device;
}

BlockDevice::~BlockDevice() {
    if (engine_ == nullptr) {
        return;
    }
    completions_.clear();
    engine_->Drain(completions_);
    if (options_.cache == BlockOptions::Cache::kWriteback && !options_.read_only) {
        // What the guest wrote and did not flush is as safe as on a disk that is unplugged; a
        // machine that ends in peace does better.
        ::fsync(file_);
    }
}

Status BlockDevice::Open(const std::string& path) {
    const int access = options_.read_only ? O_RDONLY : O_RDWR;
    os::Fd file(::open(path.c_str(), access | O_CLOEXEC));
    if (!file.valid()) {
        return errors::System(path, errno);
    }
    struct stat info = {};
    if (::fstat(file.get(), &info) != 0) {
        return errors::System(path, errno);
    }
    const off_t bytes = ::lseek(file.get(), 0, SEEK_END);
    if (bytes < 0 || (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode))) {
        return errors::Malformed(path + " is neither a file nor a block device");
    }
    if (bytes % kSectorBytes != 0) {
        log::Warn(
            "{} has {} bytes, not whole sectors; the guest does not see the rest", path, bytes);
    }
    const int descriptor = file.get();
    if (engine_ != nullptr) {
        engine_->SetFile(std::move(file));
    } else if (options_.engine == BlockOptions::Engine::kSync) {
        engine_ = MakeSyncEngine(std::move(file));
    } else {
        HEARTH_TRY(engine_, MakeAsyncEngine(std::move(file), kQueueSize));
    }
    file_ = descriptor;
    options_.path = path;
    sectors_ = static_cast<std::uint64_t>(bytes) / kSectorBytes;
    // The serial number a guest finds in /sys: stable as long as it is the same file.
    const std::string id = fmt::format("{}{}{}", info.st_dev, info.st_rdev, info.st_ino);
    id_.fill(std::byte{0});
    std::memcpy(id_.data(), id.data(), std::min(id.size(), kIdBytes));
    FillConfig();
    return {};
}

void BlockDevice::FillConfig() {
    // struct virtio_blk_config up to blk_size; size_max and geometry are not offered.
    config_.fill(std::byte{0});
    std::memcpy(config_.data(), &sectors_, sizeof(sectors_));
    std::memcpy(config_.data() + 12, &kSegmentsMax, sizeof(kSegmentsMax));
}

Status BlockDevice::UpdatePath(const std::string& path) {
    const std::lock_guard lock(mutex());
    // Requests in flight belong to the old file and are finished with it.
    completions_.clear();
    engine_->Drain(completions_);
    FinishAll();
    const Status opened = Open(path);
    if (!opened.ok()) {
        Add(metrics_.update_fails);
        return opened;
    }
    Add(metrics_.update_count);
    if (active()) {
        interrupt_->Config();
    }
    return {};
}

void BlockDevice::Drain() {
    const std::lock_guard lock(mutex());
    completions_.clear();
    engine_->Drain(completions_);
    FinishAll();
}

void BlockDevice::UpdateLimits(const RateLimiterUpdate& update) {
    const std::lock_guard lock(mutex());
    limiter_.Update(update);
}

std::span<const std::uint16_t> BlockDevice::queue_sizes() const {
    return kQueueSizes;
}

void BlockDevice::ReadConfig(std::uint64_t offset, std::span<std::byte> data) {
    CopyConfig(config_, offset, data);
}

void BlockDevice::WriteConfig(std::uint64_t offset, std::span<const std::byte> data) {
    Add(metrics_.cfg_fails);
    WarnAboutGuest("block: the guest writes {} bytes of configuration at {}", data.size(), offset);
}

std::vector<EventSource> BlockDevice::event_sources() {
    std::vector<EventSource> sources;
    sources.push_back({limiter_.timer(), EPOLLIN, [this](std::uint32_t) {
                           Add(metrics_.rate_limiter_event_count);
                           if (limiter_.Unblock() && active()) {
                               ProcessQueue();
                           }
                       }});
    if (engine_->event() >= 0) {
        sources.push_back({engine_->event(), EPOLLIN, [this](std::uint32_t) {
                               completions_.clear();
                               engine_->Reap(completions_);
                               FinishAll();
                               // What the kernel did not take before, if there was such.
                               engine_->Flush();
                               if (std::exchange(is_engine_full_, false) && active() &&
                                   !limiter_.blocked()) {
                                   ProcessQueue();
                               }
                           }});
    }
    return sources;
}

Status BlockDevice::Started() {
    is_engine_full_ = false;
    return {};
}

void BlockDevice::Quiesce() {
    // Nobody is told of what completes here: the driver has let go of the queue.
    completions_.clear();
    engine_->Drain(completions_);
    for (Request& request : requests_) {
        request.in_flight = false;
    }
}

void BlockDevice::Kick(std::uint16_t queue) {
    static_cast<void>(queue);
    Add(metrics_.queue_event_count);
    if (limiter_.blocked()) {
        Add(metrics_.rate_limiter_throttled_events);
    } else if (is_engine_full_) {
        Add(metrics_.io_engine_throttled_events);
    } else {
        ProcessQueue();
    }
}

void BlockDevice::ProcessQueue() {
    Queue& queue = queues_[0];
    bool used_any = false;
    unsigned done = 0;
    while (!IsTurnOver(done, 0)) {
        const auto popped = queue.Pop(chain_);
        if (!popped.ok()) {
            Add(metrics_.event_fails);
            return Break(popped.error());
        }
        if (!*popped) {
            const auto more = queue.EnableKicks();
            if (!more.ok()) {
                Add(metrics_.event_fails);
                return Break(more.error());
            }
            if (*more) {
                continue;
            }
            break;
        }
        if (chain_.head < requests_.size() && requests_[chain_.head].in_flight) {
            return Break(errors::Malformed("virtqueue: a buffer that is in use was offered again"));
        }
        if (!Process(chain_)) {
            queue.UndoPop();
            break;
        }
        used_any = true;
        // Large requests take larger parts of the turn.
        done += requests_[chain_.head].data_bytes / kBytesPerPartOfTurn;
    }
    engine_->Flush();
    if (!used_any) {
        Add(metrics_.no_avail_buffer);
    }
    Notify(0);
}

bool BlockDevice::Process(const Chain& chain) {
    struct Header final {
        std::uint32_t type;
        std::uint32_t reserved;
        std::uint64_t sector;
    };

    Header header = {};
    static_assert(sizeof(header) == kHeaderBytes);
    if (!chain.Read(0, std::as_writable_bytes(std::span(&header, 1))) ||
        chain.writable_bytes == 0) {
        // Without a header nothing is asked, without a status byte nothing can be answered.
        Add(metrics_.execute_fails);
        queues_[0].Push(chain.head, 0);
        return true;
    }
    Request& request = requests_[chain.head];
    request = {.type = header.type, .status = &chain.writable.back().back()};

    // The data is between the header and the status byte, however the driver cut it into buffers.
    const bool is_read = header.type == kTypeIn;
    const bool is_write = header.type == kTypeOut;
    data_.clear();
    if (is_write) {
        std::size_t skip = kHeaderBytes;
        for (const std::span<std::byte>& buffer : chain.readable) {
            const std::size_t cut = std::min(skip, buffer.size());
            skip -= cut;
            if (cut < buffer.size()) {
                data_.push_back(buffer.subspan(cut));
            }
        }
        request.data_bytes = static_cast<std::uint32_t>(chain.readable_bytes - kHeaderBytes);
    } else {
        data_.assign(chain.writable.begin(), chain.writable.end());
        data_.back() = data_.back().first(data_.back().size() - 1);
        if (data_.back().empty()) {
            data_.pop_back();
        }
        request.data_bytes = static_cast<std::uint32_t>(chain.writable_bytes - 1);
    }

    // Limits come first: a request that must wait is looked at again from the start.
    if (!limiter_.Consume(1, RateLimiter::Token::kOps)) {
        Add(metrics_.rate_limiter_throttled_events);
        return false;
    }
    if ((is_read || is_write) &&
        !limiter_.Consume(request.data_bytes, RateLimiter::Token::kBytes)) {
        limiter_.Replenish(1, RateLimiter::Token::kOps);
        Add(metrics_.rate_limiter_throttled_events);
        return false;
    }

    switch (header.type) {
        case kTypeIn:
        case kTypeOut: {
            const std::uint64_t sectors = request.data_bytes / kSectorBytes;
            if (request.data_bytes % kSectorBytes != 0 || sectors > sectors_ ||
                header.sector > sectors_ - sectors || (is_write && options_.read_only)) {
                Finish(chain.head, request, -EINVAL);
                return true;
            }
            break;
        }
        case kTypeFlush:
            if (options_.cache == BlockOptions::Cache::kUnsafe) {
                Finish(chain.head, request, 0);
                return true;
            }
            break;
        case kTypeGetId:
            if (request.data_bytes < kIdBytes) {
                Finish(chain.head, request, -EINVAL);
            } else {
                static_cast<void>(chain.Write(0, id_));
                request.data_bytes = kIdBytes;
                Finish(chain.head, request, kIdBytes);
            }
            return true;
        default:
            Finish(chain.head, request, -EOPNOTSUPP);
            return true;
    }

    request.start_us = MicrosecondsNow();
    const auto operation = is_read    ? BlockEngine::Operation::kRead
                           : is_write ? BlockEngine::Operation::kWrite
                                      : BlockEngine::Operation::kFlush;
    if (operation == BlockEngine::Operation::kFlush) {
        data_.clear();
        request.data_bytes = 0;
    }
    std::int64_t result = 0;
    switch (engine_->Submit(operation, chain.head, data_, header.sector * kSectorBytes, result)) {
        case BlockEngine::Submission::kDone:
            Finish(chain.head, request, result);
            return true;
        case BlockEngine::Submission::kSubmitted:
            request.in_flight = true;
            return true;
        case BlockEngine::Submission::kFull:
            break;
    }
    limiter_.Replenish(1, RateLimiter::Token::kOps);
    if (is_read || is_write) {
        limiter_.Replenish(request.data_bytes, RateLimiter::Token::kBytes);
    }
    is_engine_full_ = true;
    return false;
}

void BlockDevice::FinishAll() {
    for (const BlockEngine::Completion& completion : completions_) {
        Request& request = requests_[completion.tag];
        if (std::exchange(request.in_flight, false)) {
            Finish(completion.tag, request, completion.result);
        }
    }
    Notify(0);
}

void BlockDevice::Finish(std::uint16_t head, const Request& request, std::int64_t result) {
    std::uint32_t written = 0;
    const auto moved = static_cast<std::uint64_t>(std::max<std::int64_t>(result, 0));
    std::byte status = result < 0 ? kStatusIoError : kStatusOk;
    switch (request.type) {
        case kTypeIn:
        case kTypeOut: {
            const bool is_read = request.type == kTypeIn;
            if (moved != request.data_bytes) {
                status = kStatusIoError;
            }
            Add(is_read ? metrics_.read_bytes : metrics_.write_bytes, moved);
            if (is_read) {
                written = static_cast<std::uint32_t>(moved);
            }
            if (status == kStatusOk) {
                Add(is_read ? metrics_.read_count : metrics_.write_count);
            }
            if (request.start_us != 0) {
                (is_read ? metrics_.read_agg : metrics_.write_agg)
                    .Record(MicrosecondsNow() - request.start_us);
            }
            break;
        }
        case kTypeFlush:
            if (status == kStatusOk) {
                Add(metrics_.flush_count);
            }
            break;
        case kTypeGetId:
            written = static_cast<std::uint32_t>(moved);
            break;
        default:
            status = kStatusUnsupported;
            break;
    }
    if (status != kStatusOk) {
        Add(metrics_.invalid_reqs_count);
        WarnAboutGuest("block: request of type {} failed: {}", request.type, result);
    }
    *request.status = status;
    queues_[0].Push(head, written + 1);
}

}  // namespace hearth::vmm::virtio
