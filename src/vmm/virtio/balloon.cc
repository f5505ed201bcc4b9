#include "vmm/virtio/balloon.h"

#include "vmm/virtio/guest_log.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <limits>
#include <utility>

namespace hearth::vmm::virtio {
namespace {

// virtio 1.2, section 5.5.
constexpr std::uint64_t kFeatureStatistics = 1 << 1;
constexpr std::uint64_t kFeatureDeflateOnOom = 1 << 2;
constexpr std::uint64_t kFeatureReporting = 1 << 5;

constexpr std::uint16_t kInflateQueue = 0;
constexpr std::uint16_t kDeflateQueue = 1;

// The balloon counts pages of this size, whatever the guest's are.
constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint32_t kPagesPerMib = 256;

// More page numbers than this in one request are not looked at; Linux sends 256. Each may be a
// system call, and a turn has 256 requests.
constexpr std::uint64_t kFramesPerRequestMax = 1024;

// Pages are given back together, as neighbours are cheaper in one call, but not more than this.
constexpr std::uint64_t kFramesPerBatch = 16 * 1024;

constexpr std::size_t kStatisticBytes = 10;  // tag of 16 bits, value of 64, packed
constexpr std::uint64_t kStatisticsPerRequestMax = 256;

constexpr std::uint64_t kActualOffset = 4;

// Where the span of the guest's memory is in the guest.
std::optional<GuestAddress> AddressOf(const GuestMemory& memory, std::span<const std::byte> span) {
    const auto regions = memory.regions();
    for (std::size_t i = 0; i < regions.size(); ++i) {
        const std::byte* const host = memory.host_address(i);
        if (span.data() >= host && span.data() + span.size() <= host + regions[i].bytes) {
            return regions[i].start + static_cast<std::uint64_t>(span.data() - host);
        }
    }
    return std::nullopt;
}

void SetStatistic(BalloonStatistics& statistics, std::uint16_t tag, std::uint64_t value) {
    // In the order of their tags (linux/virtio_balloon.h).
    using Member = std::optional<std::uint64_t> BalloonStatistics::*;
    constexpr std::array<Member, 16> kMembers = {
        &BalloonStatistics::swap_in,
        &BalloonStatistics::swap_out,
        &BalloonStatistics::major_faults,
        &BalloonStatistics::minor_faults,
        &BalloonStatistics::free_memory,
        &BalloonStatistics::total_memory,
        &BalloonStatistics::available_memory,
        &BalloonStatistics::disk_caches,
        &BalloonStatistics::hugetlb_allocations,
        &BalloonStatistics::hugetlb_failures,
        &BalloonStatistics::oom_kill,
        &BalloonStatistics::alloc_stall,
        &BalloonStatistics::async_scan,
        &BalloonStatistics::direct_scan,
        &BalloonStatistics::async_reclaim,
        &BalloonStatistics::direct_reclaim};
    // Newer guests may know more; that is no fault of theirs.
    if (tag < kMembers.size()) {
        statistics.*kMembers[tag] = value;
    }
}

}  // namespace

BalloonDevice::BalloonDevice(const BalloonOptions& options, TimerFd timer)
    : options_(options),
      timer_(std::move(timer)),
      target_pages_(options.amount_mib * kPagesPerMib),
      queue_sizes_(2, kQueueSize) {
    if (options_.deflate_on_oom) {
        features_ |= kFeatureDeflateOnOom;
    }
    if (options_.stats_polling_interval_s > 0) {
        features_ |= kFeatureStatistics;
        queue_sizes_.push_back(kQueueSize);
    }
    if (options_.free_page_reporting) {
        features_ |= kFeatureReporting;
        queue_sizes_.push_back(kQueueSize);
    }
}

Result<std::shared_ptr<BalloonDevice>> BalloonDevice::Create(const BalloonOptions& options) {
    if (options.amount_mib > std::numeric_limits<std::uint32_t>::max() / kPagesPerMib) {
        return errors::Malformed("too many pages");
    }
    HEARTH_TRY(TimerFd timer, TimerFd::Create());
    return std::shared_ptr<BalloonDevice>(new BalloonDevice(options, std::move(timer)));
}

std::span<const std::uint16_t> BalloonDevice::queue_sizes() const {
    return queue_sizes_;
}

void BalloonDevice::ReadConfig(std::uint64_t offset, std::span<std::byte> data) {
    const std::array<std::uint32_t, 2> config = {target_pages_, actual_pages_};
    CopyConfig(std::as_bytes(std::span(config)), offset, data);
}

void BalloonDevice::WriteConfig(std::uint64_t offset, std::span<const std::byte> data) {
    if (offset < kActualOffset || data.size() > sizeof(actual_pages_) ||
        offset - kActualOffset > sizeof(actual_pages_) - data.size()) {
        WarnAboutGuest("balloon: {} bytes of configuration written at {}", data.size(), offset);
        return;
    }
    std::memcpy(
        reinterpret_cast<std::byte*>(&actual_pages_) + (offset - kActualOffset),
        data.data(),
        data.size());
}

std::vector<EventSource> BalloonDevice::event_sources() {
    return {{timer_.fd(), EPOLLIN, [this](std::uint32_t) {
                 if (timer_.Drain() > 0 && active()) {
                     AskForStatistics();
                 }
             }}};
}

Status BalloonDevice::Started() {
    // A queue exists when its feature was accepted, and takes the next number then.
    std::uint16_t next = 2;
    statistics_queue_.reset();
    reporting_queue_.reset();
    statistics_head_.reset();
    if (Accepted(kFeatureStatistics)) {
        statistics_queue_ = next++;
        const std::chrono::seconds interval(options_.stats_polling_interval_s);
        timer_.Arm(interval, interval);
    }
    if (Accepted(kFeatureReporting)) {
        reporting_queue_ = next++;
    }
    return {};
}

void BalloonDevice::Reset() {
    timer_.Disarm();
    statistics_head_.reset();
    latest_ = {};
    actual_pages_ = 0;
}

void BalloonDevice::Kick(std::uint16_t queue) {
    if (queue == kInflateQueue) {
        Inflate();
    } else if (queue == kDeflateQueue) {
        Deflate();
    } else if (queue == statistics_queue_) {
        TakeStatistics();
    } else if (queue == reporting_queue_) {
        TakeReports();
    }
}

bool BalloonDevice::Next(unsigned& done, std::uint16_t queue) {
    while (!IsTurnOver(done, queue)) {
        const auto popped = queues_[queue].Pop(chain_);
        if (!popped.ok()) {
            Add(metrics_.event_fails);
            Break(popped.error());
            return false;
        }
        if (*popped) {
            return true;
        }
        const auto more = queues_[queue].EnableKicks();
        if (!more.ok()) {
            Add(metrics_.event_fails);
            Break(more.error());
            return false;
        }
        if (!*more) {
            return false;
        }
    }
    return false;
}

void BalloonDevice::Inflate() {
    Add(metrics_.inflate_count);
    std::vector<std::uint32_t> frames;
    unsigned done = 0;
    while (Next(done, kInflateQueue)) {
        const std::uint64_t count = chain_.readable_bytes / sizeof(std::uint32_t);
        if (chain_.readable_bytes % sizeof(std::uint32_t) != 0 || count > kFramesPerRequestMax) {
            WarnAboutGuest("balloon: {} bytes of page numbers", chain_.readable_bytes);
        } else {
            const std::size_t before = frames.size();
            frames.resize(before + count);
            static_cast<void>(
                chain_.Read(0, std::as_writable_bytes(std::span(frames).subspan(before))));
        }
        // The pages go before the driver is told: it may hand out others, never these.
        if (frames.size() >= kFramesPerBatch) {
            DiscardPages(frames);
        }
        queues_[kInflateQueue].Push(chain_.head, 0);
    }
    DiscardPages(frames);
    Notify(kInflateQueue);
}

void BalloonDevice::DiscardPages(std::vector<std::uint32_t>& frames) {
    if (!active()) {
        return;
    }
    std::ranges::sort(frames);
    const auto repeated = std::ranges::unique(frames);
    frames.erase(repeated.begin(), repeated.end());
    // Neighbours go in one call.
    for (std::size_t first = 0; first < frames.size();) {
        std::size_t last = first + 1;
        while (last < frames.size() && frames[last] == frames[last - 1] + 1) {
            ++last;
        }
        const GuestAddress at = std::uint64_t{frames[first]} * kPageBytes;
        if (!memory_->Discard(at, (last - first) * kPageBytes)) {
            WarnAboutGuest("balloon: {} pages at {:#x} are not memory", last - first, at);
        }
        first = last;
    }
    frames.clear();
}

void BalloonDevice::Deflate() {
    Add(metrics_.deflate_count);
    unsigned done = 0;
    while (Next(done, kDeflateQueue)) {
        // The guest may use the pages again; they come back, zeroed, when it touches them.
        queues_[kDeflateQueue].Push(chain_.head, 0);
    }
    Notify(kDeflateQueue);
}

void BalloonDevice::TakeStatistics() {
    const std::uint16_t queue = *statistics_queue_;
    Add(metrics_.stats_updates_count);
    unsigned done = 0;
    while (Next(done, queue)) {
        if (statistics_head_) {
            // The protocol has one buffer; a second gives the first back.
            Add(metrics_.stats_update_fails);
            queues_[queue].Push(*statistics_head_, 0);
        }
        const std::uint64_t count =
            std::min(chain_.readable_bytes / kStatisticBytes, kStatisticsPerRequestMax);
        for (std::uint64_t i = 0; i < count; ++i) {
            std::array<std::byte, kStatisticBytes> bytes{};
            static_cast<void>(chain_.Read(i * kStatisticBytes, bytes));
            std::uint16_t tag = 0;
            std::uint64_t value = 0;
            std::memcpy(&tag, bytes.data(), sizeof(tag));
            std::memcpy(&value, bytes.data() + sizeof(tag), sizeof(value));
            SetStatistic(latest_, tag, value);
        }
        statistics_head_ = chain_.head;
    }
    Notify(queue);
}

void BalloonDevice::AskForStatistics() {
    if (!statistics_queue_ || !statistics_head_) {
        Add(metrics_.stats_update_fails);
        return;
    }
    // Giving the buffer back is the question; the guest fills it and offers it again.
    queues_[*statistics_queue_].Push(*std::exchange(statistics_head_, std::nullopt), 0);
    Notify(*statistics_queue_);
}

void BalloonDevice::TakeReports() {
    const std::uint16_t queue = *reporting_queue_;
    unsigned done = 0;
    while (Next(done, queue)) {
        Add(metrics_.free_page_report_count);
        for (const std::span<std::byte>& pages : chain_.writable) {
            const auto at = AddressOf(*memory_, pages);
            if (at && memory_->Discard(*at, pages.size())) {
                Add(metrics_.free_page_report_freed, pages.size());
            } else {
                Add(metrics_.free_page_report_fails);
            }
        }
        queues_[queue].Push(chain_.head, 0);
    }
    Notify(queue);
}

Status BalloonDevice::UpdateAmount(std::uint32_t amount_mib) {
    const std::lock_guard lock(mutex());
    if (amount_mib > std::numeric_limits<std::uint32_t>::max() / kPagesPerMib) {
        return errors::Malformed("too many pages");
    }
    if (!active()) {
        return Error(
            Error::Kind::kConflict,
            "",
            "Device is inactive, check if balloon driver is enabled in guest kernel.",
            400);
    }
    options_.amount_mib = amount_mib;
    target_pages_ = amount_mib * kPagesPerMib;
    interrupt_->Config();
    return {};
}

Status BalloonDevice::UpdateStatisticsInterval(std::uint16_t seconds) {
    const std::lock_guard lock(mutex());
    if ((seconds == 0) != (options_.stats_polling_interval_s == 0)) {
        return errors::Malformed("statistics cannot be switched on or off after the start");
    }
    options_.stats_polling_interval_s = seconds;
    if (active() && statistics_queue_) {
        const std::chrono::seconds interval(seconds);
        timer_.Arm(interval, interval);
    }
    return {};
}

std::optional<BalloonStatistics> BalloonDevice::statistics() {
    const std::lock_guard lock(mutex());
    if (options_.stats_polling_interval_s == 0) {
        return std::nullopt;
    }
    BalloonStatistics statistics = latest_;
    statistics.target_pages = target_pages_;
    statistics.actual_pages = actual_pages_;
    statistics.target_mib = target_pages_ / kPagesPerMib;
    statistics.actual_mib = actual_pages_ / kPagesPerMib;
    return statistics;
}

BalloonOptions BalloonDevice::options() {
    const std::lock_guard lock(mutex());
    return options_;
}

}  // namespace hearth::vmm::virtio
