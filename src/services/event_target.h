#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "rt/task.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

// Where events go that other services make: notifications of a bucket, lines of a log group, what
// became of an asynchronous invocation. Each service that takes events implements EventTarget for
// ARNs of its own; event_targets.h composes them, and who sends knows the composition alone.
namespace hearth {

class EventTarget {
  public:
    // On whose behalf.
    struct Origin {
        // Of the resource that the event is about.
        AccountId account;
        Region region;
        // "s3.amazonaws.com": the service acts for itself, and a resource policy of the target has
        // to let it in. Empty: it acts with `role_arn`, whose policies are not evaluated yet.
        std::string service_principal;
        // "arn:aws:s3:::bucket"
        std::string source_arn;
        std::string role_arn;
    };

    struct Event {
        // SQS: the message's body. Lambda: the payload, JSON. S3: the object's bytes.
        std::string body;

        // SQS: message attributes of type String or Number; nothing elsewhere.
        struct Attribute {
            std::string type = "String";
            std::string value;
        };

        std::map<std::string, Attribute> attributes;
        // SQS: of FIFO queues, which refuse a message without a group; fair queues' elsewhere.
        std::optional<std::string> group_id;
        std::optional<std::string> deduplication_id;
        // SQS: AWSTraceHeader. Lambda: X-Amzn-Trace-Id. Carries the lineage that recursion
        // detection reads.
        std::string trace_header;
        // Lambda: the invocation's id, the same for each attempt to send this event; a new one when
        // empty.
        std::string request_id;
        // S3: the object's key and Content-Type.
        std::string object_key;
        std::string content_type = "application/json";
    };

    virtual ~EventTarget() = default;

    // Whether `target_arn` is there and lets the origin in, for validation when a configuration is
    // made.
    //   errors  kinds kInvalid (no ARN that events can go to), kNotFound, kDenied, kUnimplemented
    //           (a service that Hearth does not have); the words are for people, callers put their
    //           own code and message
    // May be called from any loop.
    virtual Task<Status> Check(Origin origin, std::string target_arn) = 0;

    // Delivers once; when it answers without an error the event is durable over there. Callers try
    // again by themselves (flow/courier.h), which may deliver it twice.
    //   errors  as Check's, and those of the target when it is down or throttles
    // May be called from any loop.
    virtual Task<Status> Send(Origin origin, std::string target_arn, Event event) = 0;
};

}  // namespace hearth
