#include "hearth/cloud/own_endpoints.h"

#include "codec/json/json.h"
#include "codec/timestamp/timestamp.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#ifndef HEARTH_VERSION
#define HEARTH_VERSION "0"
#endif

namespace hearth::cloud {
namespace {

using aws::AdminAnswer;
using aws::AdminRequest;
using codec::Json;

AdminAnswer JsonAnswer(const Json& value) {
    AdminAnswer answer;
    answer.body = codec::WriteJson(value) + "\n";
    return answer;
}

Json ServicesOf(const OwnEndpointsView& view) {
    Json services(Json::Object{});
    for (const aws::ServiceApi* service : view.dispatcher.services()) {
        services.Set(std::string(service->Model().name), "running");
    }
    return services;
}

Json HealthOf(const OwnEndpointsView& view) {
    Json health;
    health.Set("status", "running");
    health.Set("version", HEARTH_VERSION);
    health.Set("services", ServicesOf(view));
    return health;
}

Json IsolationOf(const OwnEndpointsView& view) {
    if (view.sandbox == nullptr) {
        return "none: there is no host";
    }
    const auto facts = view.sandbox->facts();
    if (!facts) {
        return "starting";
    }
    Json isolation;
    isolation.Set("backend", facts->backend);
    isolation.Set("cgroups", facts->cgroup_layout);
    isolation.Set("rootless", facts->rootless);
    isolation.Set("memory_limit", facts->memory_limit);
    isolation.Set("pids_limit", facts->pids_limit);
    isolation.Set("cpu_weight", facts->cpu_weight);
    isolation.Set("freezer", facts->freezer);
    isolation.Set("own_uids", facts->own_uids);
    isolation.Set("egress", facts->egress);
    return isolation;
}

Json StatusOf(const OwnEndpointsView& view) {
    Json status = HealthOf(view);
    status.Set("endpoint", view.options.endpoint);
    status.Set("auth", view.options.enforce ? "enforce" : "open");
    status.Set("durability", view.options.sync ? "sync" : "relaxed");
    status.Set("tls", view.options.tls);
    status.Set("threads", view.threads);
    status.Set("isolation", IsolationOf(view));
    status.Set("requests_in_flight", view.gateway->requests_in_flight());
    status.Set("time", codec::FormatIso8601(view.wall_clock.Now()));
    const auto cloud_ms = view.cloud_clock.Now().time_since_epoch();
    status.Set("cloud_time", codec::FormatIso8601(WallClock::time_point(cloud_ms)));
    Json::Array not_honoured;
    for (std::string& item : view.gateway->NotHonoured()) {
        not_honoured.emplace_back(std::move(item));
    }
    status.Set("not_honoured", std::move(not_honoured));
    return status;
}

// {"milliseconds": 1} or {"by": "90d"}, or ?by=90d.
Result<CloudClock::duration> AdvanceBy(const AdminRequest& request) {
    std::string by = request.Query("by");
    if (by.empty()) {
        HEARTH_TRY(const Json body, codec::ParseJson(request.body));
        if (const Json* number = body.Find("milliseconds");
            number != nullptr && number->AsInt() != nullptr) {
            return CloudClock::duration(*number->AsInt());
        }
        const std::string* text = body.FindString("by");
        if (text == nullptr) {
            return errors::Malformed("say how far: {\"by\": \"90d\"} or {\"milliseconds\": 1000}");
        }
        by = *text;
    }
    return flow::ParseDuration(by);
}

Task<Result<AdminAnswer>> AdvanceClock(flow::ClockAdvance& advance, AdminRequest request) {
    HEARTH_CO_TRY(const CloudClock::duration by, AdvanceBy(request));
    HEARTH_CO_TRY(const flow::AdvanceReport report, co_await advance.Advance(by));
    Json::Array fired;
    for (const flow::DueTimer& timer : report.fired) {
        const WallClock::time_point due(timer.due.time_since_epoch());
        fired.emplace_back(fmt::format("{} {}", codec::FormatIso8601(due, true), timer.kind));
    }
    Json answer;
    answer.Set(
        "now", codec::FormatIso8601(WallClock::time_point(report.now.time_since_epoch()), true));
    answer.Set("fired_count", static_cast<int64_t>(report.fired_count));
    answer.Set("fired", std::move(fired));
    Json attempts(Json::Object{});
    for (const auto& [kind, count] : report.attempts) {
        attempts.Set(kind, static_cast<int64_t>(count));
    }
    answer.Set("deliveries", std::move(attempts));
    co_return JsonAnswer(answer);
}

Json TimeOrNull(std::optional<CloudClock::time_point> time) {
    if (!time) {
        return Json();
    }
    return codec::FormatIso8601(WallClock::time_point(time->time_since_epoch()), true);
}

Task<Result<AdminAnswer>> Deliveries(flow::Courier& courier, AdminRequest request) {
    // More would be a page nobody reads.
    constexpr size_t kLanesMax = 1'000;
    const std::string kind = request.Query("kind");
    const std::string part = request.Query("lane");
    const std::string own = request.account.text();
    const std::vector<flow::Courier::LaneFacts> all =
        co_await courier.List(kind, own, std::numeric_limits<size_t>::max());
    Json::Array lanes;
    size_t count = 0;
    for (const flow::Courier::LaneFacts& facts : all) {
        if (!facts.lane.contains(part) || ++count > kLanesMax) {
            continue;
        }
        Json lane;
        lane.Set("kind", facts.kind);
        lane.Set("lane", facts.lane);
        lane.Set("pending", static_cast<int64_t>(facts.pending));
        lane.Set("pending_exact", facts.pending_exact);
        lane.Set("running", static_cast<int64_t>(facts.running));
        lane.Set("oldest_accepted", TimeOrNull(facts.oldest_accepted));
        lane.Set("next_due", TimeOrNull(facts.next_due));
        lane.Set("held_until", TimeOrNull(facts.held_until));
        lane.Set("last_error", facts.last_error);
        lanes.emplace_back(std::move(lane));
    }
    Json answer;
    answer.Set("lane_count", static_cast<int64_t>(count));
    answer.Set("lanes", std::move(lanes));
    co_return JsonAnswer(answer);
}

Task<Result<AdminAnswer>> Immediately(AdminAnswer answer) {
    co_return answer;
}

}  // namespace

void AddOwnEndpoints(aws::AdminEndpoints& endpoints, OwnEndpointsView& view) {
    endpoints.Add("GET", "/_hearth/health", [&view](const AdminRequest&) {
        return Immediately(JsonAnswer(HealthOf(view)));
    });
    endpoints.Add("GET", "/_hearth/status", [&view](const AdminRequest&) {
        return Immediately(JsonAnswer(StatusOf(view)));
    });
    const aws::Gauge in_flight = view.metrics.Gauge(
        "hearth_requests_in_flight", "Requests that have not been answered yet, this one too.");
    endpoints.Add("GET", "/_hearth/metrics", [&view, in_flight](const AdminRequest&) {
        in_flight.Set(view.gateway->requests_in_flight());
        AdminAnswer answer;
        answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
        answer.body = view.metrics.Render();
        return Immediately(std::move(answer));
    });
    if (view.courier != nullptr) {
        endpoints.Add("GET", "/_hearth/deliveries", [&view](AdminRequest request) {
            return Deliveries(*view.courier, std::move(request));
        });
    }
    if (view.clock_advance != nullptr) {
        endpoints.Add("POST", "/_hearth/clock/advance", [&view](AdminRequest request) {
            return AdvanceClock(*view.clock_advance, std::move(request));
        });
    }
}

}  // namespace hearth::cloud
