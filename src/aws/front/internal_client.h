#pragma once

#include "aws/front/context.h"
#include "aws/model/descriptor.h"
#include "base/result.h"
#include "rt/task.h"

#include <string_view>

namespace hearth::aws {

// For calls from one service to another: the same dispatcher, validation, authorisation and metrics
// as a request from outside, without HTTP.
//   HEARTH_CO_TRY(auto made, co_await client.Call<logs::model::CreateLogGroup>("logs", who,
//   input));
class InternalClient {
  public:
    struct As {
        Caller caller;
        AccountId account;
        Region region;
    };

    virtual ~InternalClient() = default;

    // `input` and `output` point to the operation's types; `input` is used up.
    virtual Task<Status> CallErased(
        std::string_view service,
        const model::Operation& operation,
        As as,
        void* input,
        void* output) = 0;

    template <class Op>
    Task<Result<typename Op::Output>> Call(
        std::string_view service, As as, typename Op::Input input) {
        typename Op::Output output;
        HEARTH_CO_RETURN_IF_ERROR(
            co_await CallErased(service, Op::Descriptor(), std::move(as), &input, &output));
        co_return output;
    }
};

}  // namespace hearth::aws
