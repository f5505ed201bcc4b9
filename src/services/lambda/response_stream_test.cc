#include "services/lambda/response_stream.h"

#include "rt/task_group.h"

#include <gtest/gtest.h>

namespace hearth::lambda {
namespace {

TEST(ResponseStream, GivesWhatHasComeAndThenItsEnd) {
    rt::RunTask([]() -> Task<void> {
        ResponseStream stream;
        stream.Begin("text/plain", true);
        stream.Append("one ");
        stream.Append("two");
        EXPECT_TRUE((co_await stream.WaitForBegin()).ok());
        EXPECT_EQ(co_await stream.Take(), "one two");
        stream.Append("three");
        stream.End({.error_code = "E", .error_details = "{}", .log_tail = "log"});
        stream.Append("too late");
        EXPECT_EQ(co_await stream.Take(), "three");
        EXPECT_EQ(co_await stream.Take(), "");
        EXPECT_EQ(stream.end()->error_code, "E");
        EXPECT_EQ(stream.content_type(), "text/plain");
    }());
}

TEST(ResponseStream, ItsWriterWaitsForItsReader) {
    rt::RunTask([]() -> Task<void> {
        ResponseStream stream;
        stream.Begin("", true);
        rt::TaskGroup group;
        size_t written = 0;
        group.Spawn([&]() -> Task<void> {
            const std::string piece(64 * 1024, 'x');
            for (int i = 0; i < 100; ++i) {
                co_await stream.WaitForRoom();
                stream.Append(piece);
                written += piece.size();
                co_await rt::Yield();
            }
            stream.End({});
        });
        // Nobody reads: it stops at the buffer's size.
        while (!stream.full()) {
            co_await rt::Yield();
        }
        co_await rt::Yield();
        EXPECT_EQ(written, ResponseStream::kBufferBytesMax);
        size_t read = 0;
        size_t most = 0;
        while (true) {
            const std::string taken = co_await stream.Take();
            if (taken.empty()) {
                break;
            }
            read += taken.size();
            most = std::max(most, taken.size());
        }
        EXPECT_EQ(read, 6'553'600U);
        EXPECT_LE(most, ResponseStream::kBufferBytesMax + 64 * 1024);
        co_await group.Join();
    }());
}

TEST(ResponseStream, AReaderThatWentAwayNeverSlowsItsWriter) {
    rt::Loops loops(2);
    rt::BlockOn(loops, 0, [&]() -> Task<void> {
        const auto stream = std::make_shared<ResponseStream>();
        stream->Begin("", true);
        stream->Append(std::string(ResponseStream::kBufferBytesMax, 'x'));
        EXPECT_TRUE(stream->full());
        // Its reader lives on another loop.
        co_await rt::RunOn(loops, 1, [&]() -> Task<void> {
            auto reader = MakeStreamReader(loops, 0, stream);
            EXPECT_TRUE(reader->streaming());
            co_return;
        });
        co_await stream->WaitForRoom();
        stream->Append(std::string(ResponseStream::kBufferBytesMax, 'x'));
        EXPECT_FALSE(stream->full());
    });
}

TEST(ResponseStream, IsReadFromAnotherLoop) {
    rt::Loops loops(2);
    rt::BlockOn(loops, 0, [&]() -> Task<void> {
        const auto stream = std::make_shared<ResponseStream>();
        stream->Begin("", true);
        rt::TaskGroup group;
        group.Spawn([&]() -> Task<void> {
            for (int i = 0; i < 1000; ++i) {
                co_await stream->WaitForRoom();
                stream->Append(std::string(10'000, static_cast<char>('a' + i % 26)));
            }
            stream->End({.error_code = {}, .error_details = {}, .log_tail = "tail"});
        });
        co_await rt::RunOn(loops, 1, [&]() -> Task<void> {
            auto reader = MakeStreamReader(loops, 0, stream);
            size_t read = 0;
            while (true) {
                const auto bytes = co_await reader->Read();
                if (!bytes.ok() || bytes->empty()) {
                    break;
                }
                read += bytes->size();
            }
            EXPECT_EQ(read, 10'000'000U);
            EXPECT_EQ(reader->end().log_tail, "tail");
            EXPECT_EQ((co_await reader->Read()).value(), "");
        });
        co_await group.Join();
    });
}

TEST(ResponseStream, EndsWithWhatItsCallCameTo) {
    const auto finish = [](bool begun, Result<InvokeResult> result) {
        ResponseStream stream;
        if (begun) {
            stream.Begin("", true);
            stream.Append("some");
        }
        FinishStream(stream, std::move(result));
        const Status status = rt::RunTask(stream.WaitForBegin());
        if (!status.ok()) {
            return "failed " + status.error().code();
        }
        const std::string bytes = rt::RunTask(stream.Take());
        return bytes + "|" + stream.end()->error_code + "|" + stream.end()->error_details;
    };
    const InvokeResult answered{.payload = "whole", .function_error = {}, .error_type = {}};
    const InvokeResult failed{
        .payload = "{}", .function_error = "Unhandled", .error_type = "My.Error"};
    EXPECT_EQ(finish(false, answered), "whole||");
    EXPECT_EQ(finish(true, answered), "some||");
    EXPECT_EQ(finish(false, failed), "|Unhandled|{}");
    EXPECT_EQ(finish(true, failed), "some|My.Error|{}");
    const Error throttled(Error::Kind::kThrottled, "TooManyRequestsException", "", 429);
    EXPECT_EQ(finish(false, throttled), "failed TooManyRequestsException");
    EXPECT_EQ(finish(true, throttled), "some|ServiceException|");
}

TEST(ResponseStream, NoReaderWaitsForACallThatABugHasEnded) {
    ResponseStream unbegun;
    {
        const ResponseStream::Closer closer(unbegun);
    }
    EXPECT_FALSE(rt::RunTask(unbegun.WaitForBegin()).ok());
    ResponseStream begun;
    begun.Begin("", true);
    {
        const ResponseStream::Closer closer(begun);
    }
    EXPECT_EQ(rt::RunTask(begun.Take()), "");
    EXPECT_EQ(begun.end()->error_code, "ServiceException");
}

}  // namespace
}  // namespace hearth::lambda
