#pragma once

#include "base/result.h"
#include "services/message_queues.h"

#include "gen/sqs/types_fwd.gen.h"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

// What SQS lets into a message, and the check sums by which clients see that nothing changed on
// the way. Pure.
namespace hearth::sqs {

using AttributeValues = std::map<std::string, MessageQueues::AttributeValue>;

// Whether all of it is UTF-8 of characters that XML has: #x9 | #xA | #xD | #x20 to #xD7FF |
// #xE000 to #xFFFD | #x10000 to #x10FFFF.
bool IsMessageText(std::string_view text);

// The text with U+FFFD for each character that messages may not have.
std::string AsMessageText(std::string text);

// Errors: MissingParameter (empty counts as not there), InvalidMessageContents.
Status CheckBody(const std::optional<std::string>& body);

// MessageGroupId, MessageDeduplicationId, ReceiveRequestAttemptId: 1 to 128 letters, digits and
// punctuation. Error InvalidParameterValue.
Status CheckToken(std::string_view parameter, std::string_view value);

// Checks and takes the attributes of a message that is sent.
//   errors  InvalidParameterValue; UnsupportedOperation for list values
Result<AttributeValues> TakeAttributes(std::map<std::string, model::MessageAttributeValue> given);

// The one system attribute that a sender may give.
struct SystemAttributes {
    std::string trace_header;
    // Of all given ones; empty without any.
    std::string md5;
};

Result<SystemAttributes> TakeSystemAttributes(
    std::map<std::string, model::MessageSystemAttributeValue> given);

// What counts of attributes towards the size of a message: names, types and values.
size_t BytesOf(const AttributeValues& attributes);

// Empty without attributes. Of each attribute, in order of names: length and bytes of name and of
// type, 1 (text) or 2 (bytes), length and bytes of the value; lengths in four bytes, big-endian.
// Source: Amazon SQS Developer Guide, "Calculating the MD5 message digest for message attributes".
std::string AttributesMd5(const AttributeValues& attributes);

}  // namespace hearth::sqs
