#pragma once

#include "base/result.h"
#include "rt/event.h"
#include "rt/loops.h"
#include "rt/task.h"
#include "services/lambda/invoker.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::lambda {

// An answer on its way from a function to who called it. The environment's side appends what the
// runtime sends and waits while the buffer is full; the reader's side takes what is there. A reader
// that went away makes the buffer bottomless: bytes are counted and dropped, and the function never
// notices.
//
// Everything on the loop of the function's slots; MakeStreamReader's object brings its reader there
// and back.
class ResponseStream final {
  public:
    // Beyond this the writer waits. One read of the runtime's socket may go on top of it.
    static constexpr size_t kBufferBytesMax = 256 * 1024;

    // Ends the stream, if nobody did, so that no reader waits for a call that a bug has ended.
    class Closer final {
      public:
        explicit Closer(ResponseStream& stream) : stream_(stream) {}

        Closer(const Closer&) = delete;
        ~Closer();

      private:
        ResponseStream& stream_;
    };

    // The writer's side.

    // The answer's head is known. Once, before anything else.
    void Begin(std::string content_type, bool streaming);
    void Append(std::string_view bytes);

    bool begun() const { return begun_; }

    bool full() const {
        return !abandoned_ && !end_.has_value() && buffer_.size() >= kBufferBytesMax;
    }

    // Returns when the buffer takes more.
    Task<void> WaitForRoom();
    // Begins it, too, where nothing had begun.
    void End(StreamEnd end);
    // The call failed before the function could answer.
    void Fail(Error error);

    // The reader's side.

    // Returns when it has begun or failed.
    Task<Status> WaitForBegin();
    // As StreamedInvocation::Read.
    Task<std::string> Take();
    void Abandon();

    const std::string& content_type() const { return content_type_; }

    bool streaming() const { return streaming_; }

    const std::optional<StreamEnd>& end() const { return end_; }

  private:
    std::string buffer_;
    std::string content_type_;
    bool streaming_ = false;
    bool begun_ = false;
    bool abandoned_ = false;
    std::optional<StreamEnd> end_;
    std::optional<Error> error_;
    // Each has one waiter at most.
    rt::Event readable_;
    rt::Event writable_;
};

// Ends a stream by what its call came to. Where nothing had begun, the payload is the answer.
void FinishStream(ResponseStream& stream, Result<InvokeResult> result);

// The reader's side on the calling loop, of a stream that has begun and lives on the loop `index`.
std::unique_ptr<StreamedInvocation> MakeStreamReader(
    rt::Loops& loops, int index, std::shared_ptr<ResponseStream> stream);

}  // namespace hearth::lambda
