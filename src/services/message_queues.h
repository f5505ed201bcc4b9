#pragma once

#include "base/result.h"
#include "rt/task.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace hearth {

// Queues for those who work through them without a client: event source mappings. SQS implements
// it; the composition root passes it on.
//
// That something may be receivable is told by flow::Wakes with the key QueueWakeKey(): after a
// message was sent, its delay or visibility ended, a FIFO group became free, a redrive. A wake is a
// hint; Receive tells the truth, and who begins to listen asks once.
class MessageQueues {
  public:
    struct Facts {
        std::string arn;
        std::string name;
        bool fifo = false;
        std::chrono::seconds visibility_timeout{30};
        // Of the redrive policy; none: failed messages come back for ever.
        std::optional<int> max_receive_count;
        // How flow::Wakes names this queue.
        std::string wake_key;
    };

    struct AttributeValue {
        // "String", "Number.float", "Binary.png": as the sender gave it.
        std::string data_type;
        // The text, or the bytes of a Binary.
        std::string value;

        bool is_binary() const { return data_type.starts_with("Binary"); }

        friend bool operator==(const AttributeValue&, const AttributeValue&) = default;
    };

    struct Message {
        std::string message_id;
        std::string receipt_handle;
        std::string body;
        std::string body_md5;
        // SentTimestamp, ApproximateReceiveCount, SenderId, ApproximateFirstReceiveTimestamp,
        // MessageGroupId, MessageDeduplicationId, SequenceNumber, AWSTraceHeader,
        // DeadLetterQueueSourceArn: those that the message has.
        std::map<std::string, std::string> system_attributes;
        std::map<std::string, AttributeValue> attributes;
        // Empty without attributes.
        std::string attributes_md5;
    };

    struct ReceiveOptions {
        // 1 .. 10'000.
        int max = 10;
        // Ends the batch before the message that would exceed it; the first is always taken.
        size_t bytes_max = 6 * 1024 * 1024;
        // Instead of the queue's.
        std::optional<std::chrono::seconds> visibility;
    };

    virtual ~MessageQueues() = default;

    // kNotFound when there is no such queue. Callable on any loop, as all here.
    virtual Task<Result<Facts>> Find(std::string arn) = 0;
    // What is receivable now; never waits for messages. Durable when it returns.
    virtual Task<Result<std::vector<Message>>> Receive(std::string arn, ReceiveOptions options) = 0;
    // Handles that are outdated are passed over.
    virtual Task<Status> Delete(std::string arn, std::vector<std::string> handles) = 0;
    // 0 s: visible at once. Messages that are not in flight any more are passed over.
    virtual Task<Status> ChangeVisibility(
        std::string arn, std::vector<std::string> handles, std::chrono::seconds timeout) = 0;
};

}  // namespace hearth
