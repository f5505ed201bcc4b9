#include "vmm/machine/device_metrics.h"

#include "vmm/observe/metrics.h"

#include <string_view>

namespace hearth::vmm {
namespace {

void Store(const std::string& group, std::string_view name, const virtio::Counter& counter) {
    metrics::Get(group, name).Store(counter.load(std::memory_order_relaxed));
}

void Store(
    const std::string& group, const std::string& name, const virtio::LatencyMetrics& latency) {
    metrics::Get(group, name + ".min_us", true).Store(latency.min_us.load());
    metrics::Get(group, name + ".max_us", true).Store(latency.max_us.load());
    metrics::Get(group, name + ".sum_us").Store(latency.sum_us.load());
}

}  // namespace

void StoreMetrics(const virtio::BalloonMetrics& counters) {
    const std::string group = "balloon";
    Store(group, "activate_fails", counters.activate_fails);
    Store(group, "inflate_count", counters.inflate_count);
    Store(group, "stats_updates_count", counters.stats_updates_count);
    Store(group, "stats_update_fails", counters.stats_update_fails);
    Store(group, "deflate_count", counters.deflate_count);
    Store(group, "event_fails", counters.event_fails);
    Store(group, "free_page_report_count", counters.free_page_report_count);
    Store(group, "free_page_report_freed", counters.free_page_report_freed);
    Store(group, "free_page_report_fails", counters.free_page_report_fails);
}

void StoreMetrics(const std::string& drive_id, const virtio::BlockMetrics& counters) {
    const std::string group = "block_" + drive_id;
    Store(group, "activate_fails", counters.activate_fails);
    Store(group, "cfg_fails", counters.cfg_fails);
    Store(group, "no_avail_buffer", counters.no_avail_buffer);
    Store(group, "event_fails", counters.event_fails);
    Store(group, "execute_fails", counters.execute_fails);
    Store(group, "invalid_reqs_count", counters.invalid_reqs_count);
    Store(group, "flush_count", counters.flush_count);
    Store(group, "queue_event_count", counters.queue_event_count);
    Store(group, "rate_limiter_event_count", counters.rate_limiter_event_count);
    Store(group, "update_count", counters.update_count);
    Store(group, "update_fails", counters.update_fails);
    Store(group, "read_bytes", counters.read_bytes);
    Store(group, "write_bytes", counters.write_bytes);
    Store(group, "read_count", counters.read_count);
    Store(group, "write_count", counters.write_count);
    Store(group, "read_agg", counters.read_agg);
    Store(group, "write_agg", counters.write_agg);
    Store(group, "rate_limiter_throttled_events", counters.rate_limiter_throttled_events);
    Store(group, "io_engine_throttled_events", counters.io_engine_throttled_events);
    Store(group, "remaining_reqs_count", counters.remaining_reqs_count);
}

void StoreMetrics(const std::string& iface_id, const virtio::NetMetrics& counters) {
    const std::string group = "net_" + iface_id;
    Store(group, "activate_fails", counters.activate_fails);
    Store(group, "cfg_fails", counters.cfg_fails);
    Store(group, "mac_address_updates", counters.mac_address_updates);
    Store(group, "no_rx_avail_buffer", counters.no_rx_avail_buffer);
    Store(group, "no_tx_avail_buffer", counters.no_tx_avail_buffer);
    Store(group, "event_fails", counters.event_fails);
    Store(group, "rx_queue_event_count", counters.rx_queue_event_count);
    Store(group, "rx_event_rate_limiter_count", counters.rx_event_rate_limiter_count);
    Store(group, "rx_rate_limiter_throttled", counters.rx_rate_limiter_throttled);
    Store(group, "rx_tap_event_count", counters.rx_tap_event_count);
    Store(group, "rx_bytes_count", counters.rx_bytes_count);
    Store(group, "rx_packets_count", counters.rx_packets_count);
    Store(group, "rx_fails", counters.rx_fails);
    Store(group, "rx_count", counters.rx_count);
    Store(group, "tap_read_fails", counters.tap_read_fails);
    Store(group, "tap_write_fails", counters.tap_write_fails);
    Store(group, "tap_write_agg", counters.tap_write_agg);
    Store(group, "tx_bytes_count", counters.tx_bytes_count);
    Store(group, "tx_malformed_frames", counters.tx_malformed_frames);
    Store(group, "tx_fails", counters.tx_fails);
    Store(group, "tx_count", counters.tx_count);
    Store(group, "tx_packets_count", counters.tx_packets_count);
    Store(group, "tx_queue_event_count", counters.tx_queue_event_count);
    Store(group, "tx_rate_limiter_event_count", counters.tx_rate_limiter_event_count);
    Store(group, "tx_rate_limiter_throttled", counters.tx_rate_limiter_throttled);
    Store(group, "tx_spoofed_mac_count", counters.tx_spoofed_mac_count);
    Store(group, "tx_remaining_reqs_count", counters.tx_remaining_reqs_count);
}

void StoreMetrics(const virtio::VsockMetrics& counters) {
    const std::string group = "vsock";
    Store(group, "activate_fails", counters.activate_fails);
    Store(group, "cfg_fails", counters.cfg_fails);
    Store(group, "rx_queue_event_fails", counters.rx_queue_event_fails);
    Store(group, "tx_queue_event_fails", counters.tx_queue_event_fails);
    Store(group, "ev_queue_event_fails", counters.ev_queue_event_fails);
    Store(group, "muxer_event_fails", counters.muxer_event_fails);
    Store(group, "conn_event_fails", counters.conn_event_fails);
    Store(group, "rx_queue_event_count", counters.rx_queue_event_count);
    Store(group, "tx_queue_event_count", counters.tx_queue_event_count);
    Store(group, "rx_bytes_count", counters.rx_bytes_count);
    Store(group, "tx_bytes_count", counters.tx_bytes_count);
    Store(group, "rx_packets_count", counters.rx_packets_count);
    Store(group, "tx_packets_count", counters.tx_packets_count);
    Store(group, "conns_added", counters.conns_added);
    Store(group, "conns_killed", counters.conns_killed);
    Store(group, "conns_removed", counters.conns_removed);
    Store(group, "killq_resync", counters.killq_resync);
    Store(group, "tx_flush_fails", counters.tx_flush_fails);
    Store(group, "tx_write_fails", counters.tx_write_fails);
    Store(group, "rx_read_fails", counters.rx_read_fails);
}

void StoreMetrics(const virtio::EntropyMetrics& counters) {
    const std::string group = "entropy";
    Store(group, "activate_fails", counters.activate_fails);
    Store(group, "entropy_event_fails", counters.entropy_event_fails);
    Store(group, "entropy_event_count", counters.entropy_event_count);
    Store(group, "entropy_bytes", counters.entropy_bytes);
    Store(group, "host_rng_fails", counters.host_rng_fails);
    Store(group, "entropy_rate_limiter_throttled", counters.entropy_rate_limiter_throttled);
    Store(group, "rate_limiter_event_count", counters.rate_limiter_event_count);
}

}  // namespace hearth::vmm
