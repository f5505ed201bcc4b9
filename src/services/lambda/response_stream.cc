#include "services/lambda/response_stream.h"

#include <utility>

namespace hearth::lambda {

ResponseStream::Closer::~Closer() {
    if (stream_.end_.has_value() || stream_.error_.has_value()) {
        return;
    }
    if (stream_.begun_) {
        stream_.End({.error_code = "ServiceException", .error_details = {}, .log_tail = {}});
    } else {
        stream_.Fail(errors::Internal("a call ended without an answer"));
    }
}

void ResponseStream::Begin(std::string content_type, bool streaming) {
    content_type_ = std::move(content_type);
    streaming_ = streaming;
    begun_ = true;
    readable_.WakeAll();
}

void ResponseStream::Append(std::string_view bytes) {
    if (abandoned_ || bytes.empty() || end_.has_value()) {
        return;
    }
    buffer_.append(bytes);
    readable_.WakeAll();
}

Task<void> ResponseStream::WaitForRoom() {
    while (full()) {
        co_await writable_.Wait();
    }
}

void ResponseStream::End(StreamEnd end) {
    begun_ = true;
    end_ = std::move(end);
    readable_.WakeAll();
    writable_.WakeAll();
}

void ResponseStream::Fail(Error error) {
    error_ = std::move(error);
    readable_.WakeAll();
}

Task<Status> ResponseStream::WaitForBegin() {
    while (!begun_ && !error_.has_value()) {
        co_await readable_.Wait();
    }
    if (error_.has_value()) {
        co_return *error_;
    }
    co_return Status();
}

Task<std::string> ResponseStream::Take() {
    while (buffer_.empty() && !end_.has_value()) {
        co_await readable_.Wait();
    }
    std::string taken = std::exchange(buffer_, std::string());
    writable_.WakeAll();
    co_return taken;
}

void ResponseStream::Abandon() {
    abandoned_ = true;
    buffer_ = std::string();
    writable_.WakeAll();
}

namespace {

class StreamReader final : public StreamedInvocation {
  public:
    StreamReader(rt::Loops& loops, int index, std::shared_ptr<ResponseStream> stream)
        : loops_(loops),
          index_(index),
          stream_(std::move(stream)),
          content_type_(stream_->content_type()),
          streaming_(stream_->streaming()) {}

    ~StreamReader() override {
        if (!end_.has_value()) {
            loops_.Post(index_, [stream = std::move(stream_)] { stream->Abandon(); });
        }
    }

    const std::string& content_type() const override { return content_type_; }

    bool streaming() const override { return streaming_; }

    Task<Result<std::string>> Read() override {
        if (end_.has_value()) {
            co_return std::string();
        }
        std::string bytes = co_await rt::RunOn(loops_, index_, [this]() -> Task<std::string> {
            std::string taken = co_await stream_->Take();
            if (taken.empty()) {
                end_ = stream_->end();
            }
            co_return taken;
        });
        co_return bytes;
    }

    const StreamEnd& end() const override { return *end_; }

  private:
    rt::Loops& loops_;
    int index_;
    // Shared with the call that writes into it; touched on its loop alone.
    std::shared_ptr<ResponseStream> stream_;
    std::string content_type_;
    bool streaming_;
    std::optional<StreamEnd> end_;
};

}  // namespace

void FinishStream(ResponseStream& stream, Result<InvokeResult> result) {
    if (!result.ok()) {
        if (stream.begun()) {
            // The environment was lost under it.
            stream.End({.error_code = "ServiceException", .error_details = {}, .log_tail = {}});
        } else {
            stream.Fail(std::move(result).error());
        }
        return;
    }
    StreamEnd end{.error_code = {}, .error_details = {}, .log_tail = std::move(result->log_tail)};
    if (stream.begun()) {
        end.error_code = std::move(result->error_type);
        if (!result->function_error.empty()) {
            end.error_details = std::move(result->payload);
        }
    } else if (result->function_error.empty()) {
        stream.Begin("application/json", false);
        stream.Append(result->payload);
    } else {
        end.error_code = std::move(result->function_error);
        end.error_details = std::move(result->payload);
    }
    stream.End(std::move(end));
}

std::unique_ptr<StreamedInvocation> MakeStreamReader(
    rt::Loops& loops, int index, std::shared_ptr<ResponseStream> stream) {
    return std::make_unique<StreamReader>(loops, index, std::move(stream));
}

}  // namespace hearth::lambda
