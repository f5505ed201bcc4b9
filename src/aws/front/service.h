#pragma once

#include "aws/front/context.h"
#include "aws/model/descriptor.h"
#include "base/result.h"
#include "rt/task.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::aws {

// From operation name to handler, type-erased so that the gateway never becomes a template.
class OperationTable final {
  public:
    // `input` and `output` point to objects of the operation's Input and Output types; `output` is
    // default-constructed.
    using Handler = std::function<Task<Status>(RequestContext&, void* input, void* output)>;

    struct Entry {
        const model::Operation* operation;
        std::shared_ptr<void> (*make_input)();
        std::shared_ptr<void> (*make_output)();
        Handler handler;
    };

    // Op is a generated type with `Input`, `Output` and `static const model::Operation&
    // Descriptor()`.
    //   table.Add<model::CreateFunction>(this, &LambdaService::CreateFunction);
    // where Task<Result<model::CreateFunction::Output>> CreateFunction(RequestContext&,
    // model::CreateFunction::Input)
    template <class Op, class Service>
    void Add(
        Service* service,
        Task<Result<typename Op::Output>> (Service::*method)(RequestContext&, typename Op::Input)) {
        Entry entry;
        entry.operation = &Op::Descriptor();
        entry.make_input = []() -> std::shared_ptr<void> {
            return std::make_shared<typename Op::Input>();
        };
        entry.make_output = []() -> std::shared_ptr<void> {
            return std::make_shared<typename Op::Output>();
        };
        entry.handler = [service, method](
                            RequestContext& context, void* input, void* output) -> Task<Status> {
            return Call<Op, Service>(
                service,
                method,
                context,
                *static_cast<typename Op::Input*>(input),
                *static_cast<typename Op::Output*>(output));
        };
        entries_.emplace(std::string(entry.operation->name), std::move(entry));
    }

    const Entry* Find(std::string_view operation) const {
        const auto it = entries_.find(operation);
        return it == entries_.end() ? nullptr : &it->second;
    }

    const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }

  private:
    template <class Op, class Service>
    static Task<Status> Call(
        Service* service,
        Task<Result<typename Op::Output>> (Service::*method)(RequestContext&, typename Op::Input),
        RequestContext& context,
        typename Op::Input& input,
        typename Op::Output& output) {
        auto result = co_await (service->*method)(context, std::move(input));
        if (!result.ok()) {
            co_return std::move(result).error();
        }
        output = *std::move(result);
        co_return Status();
    }

    std::map<std::string, Entry, std::less<>> entries_;
};

class CrossOriginRules;

// One AWS service as the gateway sees it.
class ServiceApi {
  public:
    virtual ~ServiceApi() = default;
    virtual const model::Service& Model() const = 0;
    virtual const OperationTable& Operations() const = 0;
    // Called once on a loop before the first request, and once after the last.
    virtual Task<Status> Start() = 0;
    virtual Task<void> Stop() = 0;

    // For services whose resources say which web pages may call them (S3); null: none.
    virtual CrossOriginRules* CrossOrigin() { return nullptr; }
};

}  // namespace hearth::aws
