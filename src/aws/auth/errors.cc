#include "aws/auth/errors.h"

namespace hearth::aws {

Error SignatureError(const SignatureProblem& problem, model::Protocol protocol) {
    const bool query = protocol == model::Protocol::kQuery;
    int status = query || protocol == model::Protocol::kRestJson ? 403 : 400;
    const char* code = "";
    switch (problem.kind) {
        case SignatureProblem::Kind::kMissing:
            code = query ? "MissingAuthenticationToken" : "MissingAuthenticationTokenException";
            if (protocol == model::Protocol::kRestJson) {
                // The REST services stand behind another front of AWS, which words it so.
                return Error(Error::Kind::kDenied, code, "Missing Authentication Token", status);
            }
            break;
        case SignatureProblem::Kind::kIncomplete:
            code = query ? "IncompleteSignature" : "IncompleteSignatureException";
            status = 400;
            break;
        case SignatureProblem::Kind::kDoesNotMatch:
            code = query ? "SignatureDoesNotMatch" : "InvalidSignatureException";
            break;
        case SignatureProblem::Kind::kUnknownKey:
            code = query ? "InvalidClientTokenId" : "UnrecognizedClientException";
            break;
        case SignatureProblem::Kind::kExpiredSession:
            code = query ? "ExpiredToken" : "ExpiredTokenException";
            break;
    }
    return Error(Error::Kind::kDenied, code, problem.message, status);
}

}  // namespace hearth::aws
