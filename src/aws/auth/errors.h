#pragma once

#include "aws/auth/sigv4.h"
#include "aws/model/descriptor.h"
#include "base/error.h"

namespace hearth::aws {

// A signature problem under the code and status that the service's protocol has for it:
//   query      MissingAuthenticationToken, IncompleteSignature, SignatureDoesNotMatch,
//              InvalidClientTokenId, ExpiredToken (403, IncompleteSignature 400)
//   json       MissingAuthenticationTokenException, IncompleteSignatureException,
//              InvalidSignatureException, UnrecognizedClientException, ExpiredTokenException (400)
//   rest-json  as json, with 403 for all but IncompleteSignatureException
Error SignatureError(const SignatureProblem& problem, model::Protocol protocol);

}  // namespace hearth::aws
