#include "aws/auth/session_issuer.h"
#include "services/sts/errors.h"
#include "services/sts/limits.h"
#include "services/sts/sts_service.h"

#include <algorithm>

namespace hearth::sts {

Task<Result<model::GetSessionToken::Output>> StsService::GetSessionToken(
    aws::RequestContext& context, model::GetSessionToken::Input input) {
    if (input.serial_number || input.token_code) {
        co_return errors::ParameterNotImplemented("SerialNumber");
    }
    const aws::Caller& caller = context.caller;
    if (caller.type == aws::Caller::Type::kAssumedRole ||
        caller.access_key_id.starts_with("ASIA")) {
        co_return errors::SessionCannotGetSession();
    }
    std::chrono::seconds duration = input.duration_seconds
                                        ? std::chrono::seconds(*input.duration_seconds)
                                        : kSessionTokenDefault;
    if (caller.type != aws::Caller::Type::kUser) {
        duration = std::min(duration, kSessionTokenRootMax);
    }
    aws::Caller of = caller;
    // A session of an unsigned call in open mode is the root's, as that call was.
    if (of.type == aws::Caller::Type::kAnonymous) {
        of.type = aws::Caller::Type::kRoot;
    }
    const aws::SessionCredentials made = sessions_.IssueFor(of, duration);
    model::GetSessionToken::Output output;
    auto& credentials = output.credentials.emplace();
    credentials.access_key_id = made.access_key_id;
    credentials.secret_access_key = made.secret_access_key;
    credentials.session_token = made.session_token;
    credentials.expiration = made.expiration;
    co_return output;
}

}  // namespace hearth::sts
