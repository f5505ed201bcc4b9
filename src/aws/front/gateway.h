#pragma once

#include "aws/front/admin.h"
#include "aws/front/admission.h"
#include "aws/front/authenticator.h"
#include "aws/front/dispatcher.h"
#include "aws/front/doors.h"
#include "aws/front/metrics.h"
#include "aws/front/router.h"
#include "aws/front/sites.h"
#include "aws/protocol/protocol.h"
#include "base/clock.h"
#include "base/random.h"
#include "http/message.h"
#include "http/server.h"

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Every request, from outside and from functions, goes through Gateway::Handle: one flat, numbered
// walk in gateway.cc, which is the only file to read to know what happens to all of them.
namespace hearth::aws {

class Gateway final {
  public:
    struct Parts {
        Dispatcher& dispatcher;
        Authenticator& authenticator;
        AdminEndpoints& admin;
        Metrics& metrics;
        const WallClock& wall_clock;
        const MonotonicClock& monotonic_clock;
        Random& random;
        Admission::Limits limits;
        // Null: there are none.
        const Sites* sites = nullptr;
    };

    // After the dispatcher got its services.
    explicit Gateway(Parts parts);
    ~Gateway();

    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;

    // `door`: whose environment the request came from; null for the outside. On the connection's
    // loop.
    // `own_limits`: of the door, besides the cloud's; null: none.
    Task<http::Response> Handle(
        http::Request& request, const DoorIdentity* door, Admission* own_limits = nullptr);

    // What is no request at all gets an error of AWS's shape, too.
    http::Response Refuse(int status, std::string_view reason);

    // For the listeners of the outside.
    http::Handler& handler();

    int requests_in_flight() const { return admission_.requests(); }

    // "lambda CreateFunction: VpcConfig" for each setting that --lenient accepted and for policies
    // that are stored but not enforced; at most 256 kinds are remembered.
    std::vector<std::string> NotHonoured() const;

  private:
    struct Walk;
    struct Room;
    struct Call;
    class OutsideHandler;
    class Visit;

    Task<Result<std::string>> ReadBody(http::BodyReader& body, uint64_t bytes_max, Room& room);

    Task<http::Response> HandleAdmitted(
        http::Request& request, const DoorIdentity* door, Room& room, Walk& walk);
    // Steps 6 to 10.
    Task<http::Response> Perform(Call call);
    Task<http::Response> HandleS3(
        http::Request& request, const DoorIdentity* door, Room& room, Walk& walk);
    // `path` as "/bucket/key"; the page that calls is one that the bucket's rules let in.
    Task<http::Response> AnswerS3(
        http::Request& request,
        const DoorIdentity* door,
        Room& room,
        Walk& walk,
        const std::string& path,
        bool origin_is_allowed);
    // `bucket_path` as "/bucket".
    Task<http::Response> HandleS3Form(
        http::Request& request,
        const DoorIdentity* door,
        Room& room,
        Walk& walk,
        const std::string& bucket_path,
        bool origin_is_allowed);
    Task<http::Response> HandleAdmin(
        http::Request& request, const DoorIdentity* door, Room& room, Walk& walk);
    Task<http::Response> HandleSite(
        Sites::Address address,
        http::Request& request,
        const DoorIdentity* door,
        Room& room,
        Walk& walk);
    // Calls `report` when `response` has been sent, or could not be.
    void ReportAnswer(
        const Walk& walk,
        std::function<void(const AnswerSummary&)> report,
        http::Response& response);
    // Whether the page that sent `origin` may call AWS's operations without a verified signature.
    bool MayCallUnsigned(std::string_view origin) const;
    void NoteNotHonoured(
        const Walk& walk, const std::vector<std::pair<std::string, std::string>>& headers);

    Parts parts_;
    Router router_;
    Admission admission_;
    std::unique_ptr<OutsideHandler> outside_;
    Counter refused_;
    mutable std::mutex not_honoured_mutex_;
    std::set<std::string> not_honoured_;
};

// Doors served by a gateway.
class GatewayDoors final : public Doors {
  public:
    GatewayDoors(rt::Loops& loops) : loops_(loops) {}

    // Before the first door is opened.
    void SetGateway(Gateway& gateway) { gateway_ = &gateway; }

    std::unique_ptr<Door> Open(os::Fd listener, DoorIdentity identity) override;

  private:
    rt::Loops& loops_;
    Gateway* gateway_ = nullptr;
};

}  // namespace hearth::aws
