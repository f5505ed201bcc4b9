#pragma once

#include "aws/model/descriptor.h"
#include "base/error.h"
#include "base/result.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// AWS's wire protocols over descriptor tables: from an HTTP request to an operation and its typed
// input, and from a typed output or an Error to an HTTP answer. Pure functions; no I/O, no state.
namespace hearth::aws::protocol {

using Headers = std::vector<std::pair<std::string, std::string>>;

// A request as received. Views into the caller's buffers.
struct RequestParts {
    std::string_view method;
    // Still percent-encoded, from the first slash to the '?'.
    std::string_view path;
    // Still encoded, without the '?'.
    std::string_view query;
    // Names in lower case.
    std::span<const std::pair<std::string, std::string>> headers;
    std::string_view body;

    // Empty view when it is not there.
    std::string_view Header(std::string_view lower_case_name) const;
};

struct Answer {
    int status = 200;
    Headers headers;
    std::string body;
};

// An operation found, with what its path said.
struct Match {
    const model::Operation* operation = nullptr;
    // Labels of the path, decoded, by wire name. Views of names live in the model.
    std::vector<std::pair<std::string_view, std::string>> labels;
};

// Which operation of `service` a request means.
//   json    x-amz-target "<prefix>.<Operation>"
//   query   Action=<Operation> in the body or the query string
//   rest    method and path; most literal path wins
//   errors  UnknownOperationException (404 for rest paths), InvalidAction for query.
// An operation that Hearth does not have is found all the same: see Operation::known_only().
Result<Match> FindOperation(const model::Service& service, const RequestParts& request);

// The Action of a query request without parsing the rest; empty when there is none.
std::string QueryAction(const RequestParts& request);

// Fills `input` (the operation's default-constructed Input) and checks all constraints of the
// model.
//   errors  SerializationException / MalformedInput for bodies that are no values of the shape;
//           the service's validation code, with AWS's text, for broken constraints.
Status DecodeRequest(
    const model::Service& service, const Match& match, const RequestParts& request, void* input);

// Only the constraints, for inputs made without a wire (the internal client).
Status ValidateInput(const model::Service& service, const model::Shape& shape, const void* input);

// `output` is the operation's Output. `status` overrides the operation's own.
Answer EncodeResponse(
    const model::Service& service,
    const model::Operation& operation,
    const void* output,
    std::string_view request_id,
    std::optional<int> status = std::nullopt);

// The one place where an Error becomes wire form. Errors of kind kInternal keep their text for the
// log and answer with the protocol's fixed one; kinds without a code get the protocol's.
Answer EncodeError(const model::Service& service, const Error& error, std::string_view request_id);

// For requests that no service claims.
Answer EncodeErrorWithoutService(const Error& error, std::string_view request_id);

// What a known but missing operation answers.
Error NotImplemented(const model::Service& service, const model::Operation& operation);

}  // namespace hearth::aws::protocol
