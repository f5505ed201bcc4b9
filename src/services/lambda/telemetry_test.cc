// Telemetry against real sockets of this machine's loopback, on one loop.
#include "services/lambda/telemetry.h"

#include "base/random.h"
#include "rt/fd_watch.h"
#include "rt/timer.h"
#include "testing/run_task.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace hearth::lambda {
namespace {

using std::chrono::steady_clock;

// A subscriber's HTTP server: keeps the bodies, answers with the statuses it was given, then 200.
class Listener final {
  public:
    Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(address);
        CHECK(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
        CHECK(::listen(fd_.get(), 16) == 0);
        CHECK(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
        port = ntohs(address.sin_port);
    }

    Task<void> Serve() {
        auto watch = rt::FdWatch::Make(fd_.get());
        while (true) {
            const os::Fd socket(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK));
            if (socket.valid()) {
                co_await ServeOne(socket);
            } else {
                (void)(co_await watch->Readable()).ok();
            }
        }
    }

    uint16_t port = 0;
    std::vector<int> statuses;
    std::vector<std::string> bodies;
    size_t requests = 0;

  private:
    Task<void> ServeOne(const os::Fd& socket) {
        auto watch = rt::FdWatch::Make(socket.get());
        std::string request;
        while (true) {
            const size_t end = request.find("\r\n\r\n");
            if (end != std::string::npos) {
                const size_t at = request.find("Content-Length: ") + 16;
                if (request.size() == end + 4 + std::stoul(request.substr(at))) {
                    break;
                }
            }
            std::array<char, 4096> buffer{};
            const ssize_t count = ::read(socket.get(), buffer.data(), buffer.size());
            if (count > 0) {
                request.append(buffer.data(), static_cast<size_t>(count));
            } else if (count == 0) {
                co_return;
            } else {
                (void)(co_await watch->Readable()).ok();
            }
        }
        ++requests;
        int status = 200;
        if (!statuses.empty()) {
            status = statuses.front();
            statuses.erase(statuses.begin());
        }
        if (status == 200) {
            bodies.push_back(request.substr(request.find("\r\n\r\n") + 4));
        }
        const std::string answer = fmt::format("HTTP/1.1 {} x\r\n\r\n", status);
        (void)!::write(socket.get(), answer.data(), answer.size());
    }

    os::Fd fd_;
};

class TelemetryTest : public ::testing::Test {
  protected:
    template <class Body>
    void With(Body body) {
        rt::RunTask(Run(body));
    }

    template <class Body>
    Task<void> Run(Body& body) {
        Telemetry telemetry([] { return MakeSocket(); }, *clock_);
        rt::TaskGroup serving;
        serving.Spawn(listener_.Serve());
        co_await body(telemetry);
        co_await telemetry.Stop();
        serving.Cancel();
        co_await serving.Join();
    }

    static Task<Result<os::Fd>> MakeSocket() {
        co_return os::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    }

    TelemetrySubscription Subscription() const {
        TelemetrySubscription subscription;
        subscription.streams = {true, true, false};
        subscription.types = {"platform", "function"};
        subscription.port = listener_.port;
        subscription.timeout = std::chrono::milliseconds(25);
        return subscription;
    }

    LogLine Line(std::string text) const {
        return LogLine{.at = clock_->Now(), .text = std::move(text)};
    }

    static steady_clock::time_point Patience() {
        return steady_clock::now() + std::chrono::seconds(60);
    }

    std::shared_ptr<const WallClock> clock_ = WallClock::System();
    Listener listener_;
};

TEST_F(TelemetryTest, ABatchIsAnArrayOfEventsInTheirOrder) {
    With([&](Telemetry& telemetry) -> Task<void> {
        EXPECT_TRUE(telemetry.Subscribe("e", Subscription()).ok());
        telemetry.Publish(TelemetryStream::kFunction, Line("one \"quoted\""));
        telemetry.Publish(TelemetryStream::kExtension, Line("not asked for"));
        telemetry.Publish(TelemetryStream::kFunction, Line("two"));
        EXPECT_TRUE(co_await telemetry.Flush(Patience()));
    });
    ASSERT_EQ(listener_.bodies.size(), 1u);
    const auto events = codec::ParseJson(listener_.bodies[0]);
    ASSERT_TRUE(events.ok()) << listener_.bodies[0];
    ASSERT_EQ(events->AsArray()->size(), 2u);
    EXPECT_EQ(*events->AsArray()->at(0).FindString("record"), "one \"quoted\"");
    EXPECT_EQ(*events->AsArray()->at(1).FindString("type"), "function");
}

TEST_F(TelemetryTest, WhoSubscribesLaterHearsWhatWasBefore) {
    With([&](Telemetry& telemetry) -> Task<void> {
        telemetry.Publish(TelemetryStream::kFunction, Line("before"));
        EXPECT_TRUE(telemetry.Subscribe("e", Subscription()).ok());
        telemetry.CloseHistory();
        EXPECT_TRUE(telemetry.Subscribe("late", Subscription()).ok());
        EXPECT_TRUE(co_await telemetry.Flush(Patience()));
    });
    ASSERT_EQ(listener_.bodies.size(), 1u);
    EXPECT_NE(listener_.bodies[0].find("before"), std::string::npos);
}

TEST_F(TelemetryTest, ARefusedBatchIsSentAgain) {
    listener_.statuses = {500, 404};
    With([&](Telemetry& telemetry) -> Task<void> {
        EXPECT_TRUE(telemetry.Subscribe("e", Subscription()).ok());
        telemetry.Publish(TelemetryStream::kFunction, Line("kept"));
        EXPECT_TRUE(co_await telemetry.Flush(Patience()));
    });
    EXPECT_EQ(listener_.requests, 3u);
    ASSERT_EQ(listener_.bodies.size(), 1u);
    EXPECT_NE(listener_.bodies[0].find("kept"), std::string::npos);
}

TEST_F(TelemetryTest, WhatIsDroppedIsToldWithTheNextBatch) {
    listener_.statuses = {500, 500, 500};
    With([&](Telemetry& telemetry) -> Task<void> {
        EXPECT_TRUE(telemetry.Subscribe("e", Subscription()).ok());
        telemetry.Publish(TelemetryStream::kFunction, Line("lost"));
        EXPECT_TRUE(co_await telemetry.Flush(Patience()));
        telemetry.Publish(TelemetryStream::kFunction, Line("next"));
        EXPECT_TRUE(co_await telemetry.Flush(Patience()));
    });
    ASSERT_EQ(listener_.bodies.size(), 1u);
    const auto events = codec::ParseJson(listener_.bodies[0]);
    ASSERT_TRUE(events.ok());
    const codec::Json& first = events->AsArray()->at(0);
    EXPECT_EQ(*first.FindString("type"), "platform.logsDropped");
    EXPECT_EQ(*first.Find("record")->Find("droppedRecords")->AsInt(), 1);
    EXPECT_EQ(*events->AsArray()->at(1).FindString("record"), "next");
}

TEST_F(TelemetryTest, AFloodFillsOneBatchAndTheRestIsCounted) {
    auto subscription = Subscription();
    subscription.timeout = std::chrono::seconds(30);
    With([&](Telemetry& telemetry) -> Task<void> {
        EXPECT_TRUE(telemetry.Subscribe("e", subscription).ok());
        // Nothing can be sent in between: this is one turn of the loop.
        for (int i = 0; i < 100'000; ++i) {
            telemetry.Publish(TelemetryStream::kFunction, Line(std::string(100, 'x')));
        }
        EXPECT_TRUE(co_await telemetry.Flush(Patience()));
        telemetry.Publish(TelemetryStream::kFunction, Line("after"));
        EXPECT_TRUE(co_await telemetry.Flush(Patience()));
    });
    ASSERT_EQ(listener_.bodies.size(), 2u);
    EXPECT_LT(listener_.bodies[0].size(), subscription.bytes_max + 1000);
    EXPECT_NE(listener_.bodies[1].find("platform.logsDropped"), std::string::npos);
}

TEST_F(TelemetryTest, NothingIsSentWhilePaused) {
    With([&](Telemetry& telemetry) -> Task<void> {
        EXPECT_TRUE(telemetry.Subscribe("e", Subscription()).ok());
        telemetry.Pause();
        telemetry.Publish(TelemetryStream::kFunction, Line("later"));
        EXPECT_FALSE(co_await telemetry.Flush(steady_clock::now() + std::chrono::milliseconds(50)));
        EXPECT_EQ(listener_.requests, 0u);
        telemetry.Resume();
        EXPECT_TRUE(co_await telemetry.Flush(Patience()));
    });
    EXPECT_EQ(listener_.requests, 1u);
}

TEST_F(TelemetryTest, OneExtensionHasOneOfTheTwoApis) {
    With([&](Telemetry& telemetry) -> Task<void> {
        auto subscription = Subscription();
        EXPECT_TRUE(telemetry.Subscribe("e", subscription).ok());
        EXPECT_TRUE(telemetry.Subscribe("e", subscription).ok());
        subscription.schema = TelemetrySchema::kLogs20200815;
        EXPECT_FALSE(telemetry.Subscribe("e", subscription).ok());
        EXPECT_TRUE(telemetry.Subscribe("other", subscription).ok());
        telemetry.Publish(TelemetryStream::kFunction, Line("once each"));
        EXPECT_TRUE(co_await telemetry.Flush(Patience()));
    });
    EXPECT_EQ(listener_.bodies.size(), 2u);
}

TEST_F(TelemetryTest, StopDoesNotWaitForASubscriberThatIsNotThere) {
    With([&](Telemetry& telemetry) -> Task<void> {
        auto subscription = Subscription();
        subscription.port = 1;
        EXPECT_TRUE(telemetry.Subscribe("e", subscription).ok());
        telemetry.Publish(TelemetryStream::kFunction, Line("nobody"));
        telemetry.FlushSoon();
        co_await rt::Sleep(std::chrono::milliseconds(1));
    });
}

}  // namespace
}  // namespace hearth::lambda
