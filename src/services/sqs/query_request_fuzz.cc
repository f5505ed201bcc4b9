// Any bytes as a request of the query protocol, or as the body of a JSON one: decoded into each
// operation's input, and what is a message by its own checks.
#include "aws/protocol/protocol.h"
#include "services/sqs/message_checks.h"

#include "gen/sqs/operations.gen.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace {

using namespace hearth;

template <class Op>
void Decode(const aws::model::Service& service, const aws::protocol::RequestParts& request) {
    const aws::model::Operation& operation = *service.FindOperation(Op::Descriptor().name);
    typename Op::Input input;
    const Status decoded =
        aws::protocol::DecodeRequest(service, {.operation = &operation}, request, &input);
    if (!decoded.ok() && aws::protocol::EncodeError(service, decoded.error(), "id").status < 400) {
        std::abort();
    }
    if constexpr (requires { input.message_attributes; }) {
        (void)sqs::CheckBody(input.message_body).ok();
        if (input.message_attributes) {
            (void)sqs::TakeAttributes(*std::move(input.message_attributes)).ok();
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const aws::protocol::RequestParts request{
        .method = "POST", .path = "/", .query = {}, .headers = {}, .body = text};
    for (const aws::model::Service* service :
         {&sqs::model::Service(), sqs::model::Service().query_form}) {
        Decode<sqs::model::CreateQueue>(*service, request);
        Decode<sqs::model::SendMessage>(*service, request);
        Decode<sqs::model::SendMessageBatch>(*service, request);
        Decode<sqs::model::ReceiveMessage>(*service, request);
        Decode<sqs::model::AddPermission>(*service, request);
    }
    (void)aws::protocol::FindOperation(*sqs::model::Service().query_form, request).ok();
    return 0;
}
