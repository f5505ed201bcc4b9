#include "aws/auth/access_key_id.h"
#include "services/sts/errors.h"
#include "services/sts/sts_service.h"

namespace hearth::sts {

Task<Result<model::GetCallerIdentity::Output>> StsService::GetCallerIdentity(
    aws::RequestContext& context, model::GetCallerIdentity::Input) {
    model::GetCallerIdentity::Output output;
    output.user_id = context.caller.user_id;
    output.account = context.caller.account.text();
    output.arn = context.caller.arn;
    co_return output;
}

Task<Result<model::GetAccessKeyInfo::Output>> StsService::GetAccessKeyInfo(
    aws::RequestContext& context, model::GetAccessKeyInfo::Input input) {
    // The account stands in the id itself; the one key that may look otherwise is a root key that
    // came from the environment.
    const auto account = aws::AccountOfAccessKeyId(*input.access_key_id);
    if (!account && *input.access_key_id != context.caller.access_key_id) {
        co_return errors::Validation(
            "Invalid AccessKeyId: the request must contain a valid access key id");
    }
    model::GetAccessKeyInfo::Output output;
    output.account = account ? account->text() : context.account.text();
    co_return output;
}

}  // namespace hearth::sts
