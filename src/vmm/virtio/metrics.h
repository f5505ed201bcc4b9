#pragma once

#include <atomic>
#include <cstdint>

// What each device counts. The members bear the names of Firecracker's metrics, so that the
// writer of the metrics file needs no table of translations. Counters only grow; the writer keeps
// what it wrote last and reports differences.
namespace hearth::vmm::virtio {

using Counter = std::atomic<std::uint64_t>;

inline void Add(Counter& counter, std::uint64_t amount = 1) {
    counter.fetch_add(amount, std::memory_order_relaxed);
}

// Smallest, largest and total duration of one kind of work, in microseconds.
struct LatencyMetrics final {
    Counter min_us{0};
    Counter max_us{0};
    Counter sum_us{0};

    // Called by one thread at a time; others may read meanwhile.
    void Record(std::uint64_t us) {
        const auto relaxed = std::memory_order_relaxed;
        const std::uint64_t smallest = min_us.load(relaxed);
        if (smallest == 0 || us < smallest) {
            min_us.store(us, relaxed);
        }
        if (us > max_us.load(relaxed)) {
            max_us.store(us, relaxed);
        }
        sum_us.fetch_add(us, relaxed);
    }
};

struct BlockMetrics final {
    Counter activate_fails{0};
    Counter cfg_fails{0};
    Counter no_avail_buffer{0};
    Counter event_fails{0};
    Counter execute_fails{0};
    Counter invalid_reqs_count{0};
    Counter flush_count{0};
    Counter queue_event_count{0};
    Counter rate_limiter_event_count{0};
    Counter update_count{0};
    Counter update_fails{0};
    Counter read_bytes{0};
    Counter write_bytes{0};
    Counter read_count{0};
    Counter write_count{0};
    LatencyMetrics read_agg;
    LatencyMetrics write_agg;
    Counter rate_limiter_throttled_events{0};
    Counter io_engine_throttled_events{0};
    Counter remaining_reqs_count{0};
};

struct NetMetrics final {
    Counter activate_fails{0};
    Counter cfg_fails{0};
    Counter mac_address_updates{0};
    Counter no_rx_avail_buffer{0};
    Counter no_tx_avail_buffer{0};
    Counter event_fails{0};
    Counter rx_queue_event_count{0};
    Counter rx_event_rate_limiter_count{0};
    Counter rx_rate_limiter_throttled{0};
    Counter rx_tap_event_count{0};
    Counter rx_bytes_count{0};
    Counter rx_packets_count{0};
    Counter rx_fails{0};
    Counter rx_count{0};
    Counter tap_read_fails{0};
    Counter tap_write_fails{0};
    LatencyMetrics tap_write_agg;
    Counter tx_bytes_count{0};
    Counter tx_malformed_frames{0};
    Counter tx_fails{0};
    Counter tx_count{0};
    Counter tx_packets_count{0};
    Counter tx_queue_event_count{0};
    Counter tx_rate_limiter_event_count{0};
    Counter tx_rate_limiter_throttled{0};
    Counter tx_spoofed_mac_count{0};
    Counter tx_remaining_reqs_count{0};
};

struct VsockMetrics final {
    Counter activate_fails{0};
    Counter cfg_fails{0};
    Counter rx_queue_event_fails{0};
    Counter tx_queue_event_fails{0};
    Counter ev_queue_event_fails{0};
    Counter muxer_event_fails{0};
    Counter conn_event_fails{0};
    Counter rx_queue_event_count{0};
    Counter tx_queue_event_count{0};
    Counter rx_bytes_count{0};
    Counter tx_bytes_count{0};
    Counter rx_packets_count{0};
    Counter tx_packets_count{0};
    Counter conns_added{0};
    Counter conns_killed{0};
    Counter conns_removed{0};
    Counter killq_resync{0};
    Counter tx_flush_fails{0};
    Counter tx_write_fails{0};
    Counter rx_read_fails{0};
};

struct EntropyMetrics final {
    Counter activate_fails{0};
    Counter entropy_event_fails{0};
    Counter entropy_event_count{0};
    Counter entropy_bytes{0};
    Counter host_rng_fails{0};
    Counter entropy_rate_limiter_throttled{0};
    Counter rate_limiter_event_count{0};
};

struct BalloonMetrics final {
    Counter activate_fails{0};
    Counter inflate_count{0};
    Counter stats_updates_count{0};
    Counter stats_update_fails{0};
    Counter deflate_count{0};
    Counter event_fails{0};
    Counter free_page_report_count{0};
    Counter free_page_report_freed{0};
    Counter free_page_report_fails{0};
};

// Interrupts given to guests by all devices of the process.
struct InterruptMetrics final {
    Counter triggers{0};
};

InterruptMetrics& interrupt_metrics();

}  // namespace hearth::vmm::virtio
