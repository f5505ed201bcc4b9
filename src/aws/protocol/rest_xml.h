#pragma once

#include "aws/model/descriptor.h"
#include "aws/protocol/protocol.h"

// XML bodies, with the operation in method, path and query, and most members in headers: S3's
// protocol, and so far only S3 speaks it. Requests are in path style (/bucket/key); who takes
// virtual-host requests rewrites them before.
//
// Member values that the model leaves open and S3 checks everywhere are checked here, in S3's
// words; what depends on the state of a bucket is the service's.
namespace hearth::aws::protocol {

// Of the key, in UTF-8.
inline constexpr size_t kObjectKeyBytesMax = 1024;

// By method, depth of the path (/, /bucket, /bucket/key), the sub-resource in the query ("?acl"),
// and query parameters and headers that only one operation of several requires (uploadId,
// x-amz-copy-source). A key is every byte after the bucket's slash: nothing is normalised; %2F
// and / are the same; a bare + is a space.
//   errors  MethodNotAllowed; InvalidArgument where sub-resources contradict each other;
//           InvalidURI; KeyTooLongError
Result<Match> FindRestXmlOperation(const model::Service& service, const RequestParts& request);

// Streaming payloads are left out: the operation pulls them (RequestContext::request_body).
Status DecodeRestXml(
    const model::Service& service, const Match& match, const RequestParts& request, void* input);

// The constraints, in S3's words: MalformedXML for what stands in the body, codes of their own for
// headers and parameters.
Status ValidateRestXml(const model::Shape& shape, const void* input);

// Every answer has x-amz-request-id and x-amz-id-2. A member for the header Content-Length is left
// out: the length of a body is the front's to say (RequestContext::response_stream_bytes).
Answer EncodeRestXmlResponse(
    const model::Service& service,
    const model::Operation& operation,
    const void* output,
    std::string_view request_id);

// The second id of S3's answers, made from the first.
std::string HostId(std::string_view request_id);

}  // namespace hearth::aws::protocol
