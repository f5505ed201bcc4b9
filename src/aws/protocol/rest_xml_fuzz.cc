// Any request of S3: "METHOD target\nname: value\n...\n\nbody". What decodes from a body is written
// and read back to the same value.
#include "aws/protocol/protocol.h"
#include "aws/protocol/rest_xml_body.h"

#include "gen/s3/operations.gen.h"

#include <cstdint>
#include <cstdlib>

namespace hearth::aws::protocol {
namespace {

namespace s3 = hearth::s3::model;

std::string_view CutLine(std::string_view& text) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    return line;
}

template <class Op>
void DecodeAs(const Match& match, const RequestParts& request) {
    if (match.operation->name != Op::Descriptor().name) {
        return;
    }
    typename Op::Input input;
    const Status status = DecodeRequest(s3::Service(), match, request, &input);
    if (!status.ok()) {
        const auto answer = EncodeError(s3::Service(), status.error(), "id");
        if (answer.status < 400 || !answer.body.ends_with("</Error>")) {
            std::abort();
        }
        return;
    }
    const model::Member* payload = Op::Descriptor().input->Payload();
    if (payload == nullptr || payload->shape->type != model::ShapeType::kStructure ||
        payload->Get(&input) == nullptr) {
        return;
    }
    const std::string body =
        EncodeXmlBody(payload->wire_name, "", *payload->shape, payload->Get(&input));
    typename Op::Input again = input;
    if (!DecodeXmlBody(body, payload->wire_name, *payload->shape, payload->Emplace(&again)).ok() ||
        body != EncodeXmlBody(payload->wire_name, "", *payload->shape, payload->Get(&again))) {
        std::abort();
    }
}

template <class... Op>
void DecodeAsOneOf(const Match& match, const RequestParts& request) {
    (DecodeAs<Op>(match, request), ...);
}

void RunRequest(std::string_view text) {
    const std::string_view first = CutLine(text);
    const std::string_view method = first.substr(0, first.find(' '));
    const std::string_view target =
        method.size() == first.size() ? std::string_view() : first.substr(method.size() + 1);
    Headers headers;
    for (;;) {
        const std::string_view line = CutLine(text);
        const size_t colon = line.find(": ");
        if (colon == std::string_view::npos) {
            break;
        }
        headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    }
    const std::string_view path = target.substr(0, target.find('?'));
    const RequestParts request{
        .method = method,
        .path = path,
        .query = path.size() == target.size() ? std::string_view() : target.substr(path.size() + 1),
        .headers = headers,
        .body = text};
    const auto match = FindOperation(s3::Service(), request);
    if (!match.ok() || match->operation->known_only()) {
        return;
    }
    DecodeAsOneOf<
        s3::CompleteMultipartUpload,
        s3::CopyObject,
        s3::CreateBucket,
        s3::DeleteObjects,
        s3::GetObject,
        s3::GetObjectAttributes,
        s3::ListObjectsV2,
        s3::PutBucketAcl,
        s3::PutBucketCors,
        s3::PutBucketLifecycleConfiguration,
        s3::PutBucketNotificationConfiguration,
        s3::PutBucketWebsite,
        s3::PutObject,
        s3::PutObjectRetention,
        s3::PutObjectTagging,
        s3::RestoreObject,
        s3::UploadPart>(*match, request);
}

}  // namespace
}  // namespace hearth::aws::protocol

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    hearth::aws::protocol::RunRequest({reinterpret_cast<const char*>(data), size});
    return 0;
}
