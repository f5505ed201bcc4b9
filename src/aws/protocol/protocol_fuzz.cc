// Any bytes as the body, path and query of a request, in each protocol. The first byte chooses.
#include "aws/protocol/protocol.h"

#include "gen/shelf/operations.gen.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace hearth;
    if (size == 0) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    aws::model::Service service = shelf::model::Service();
    const aws::protocol::Headers headers = {{"x-amz-target", "Shelf_20200102.CreateShelf"}};
    aws::protocol::RequestParts request{
        .method = "POST", .path = "/", .query = {}, .headers = headers, .body = text};
    switch (data[0] % 3) {
        case 0:
            service.protocol = aws::model::Protocol::kJson11;
            break;
        case 1:
            service.protocol = aws::model::Protocol::kQuery;
            break;
        default: {
            // "path?query\nbody"
            const size_t line = text.find('\n');
            const std::string_view target = text.substr(0, line);
            request.path = target.substr(0, target.find('?'));
            request.query = target.substr(std::min(target.size(), request.path.size() + 1));
            request.body = line == std::string_view::npos ? "" : text.substr(line + 1);
        }
    }
    const auto match = aws::protocol::FindOperation(service, request);
    if (!match.ok() || match->operation->name != "CreateShelf") {
        return 0;
    }
    shelf::model::CreateShelfInput input;
    const Status status = aws::protocol::DecodeRequest(service, *match, request, &input);
    if (!status.ok()) {
        const auto answer = aws::protocol::EncodeError(service, status.error(), "id");
        if (answer.status < 400) {
            std::abort();
        }
    }
    return 0;
}
