#include "services/lambda/lambda_service.h"

#include "base/log.h"
#include "services/lambda/errors.h"
#include "services/lambda/mapping_operations.h"
#include "storage/blob/blob_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>

namespace hearth::lambda {

LambdaService::LambdaService(const ServiceDeps& deps, RoleDirectory* roles)
    : deps_(deps),
      roles_(roles),
      sealing_key_(deps.master_key.Derive("lambda-environment")),
      store_(deps.kv, sealing_key_, deps.random),
      concurrency_(
          deps.options.account_concurrency,
          [this](AccountId account, Region region) {
              return store_.ReadReserves(std::move(account), std::move(region));
          }),
      layers_(deps.kv),
      urls_(deps.kv),
      url_site_(*this, deps.metrics),
      snapshots_(deps, store_),
      code_(deps.blobs, deps.blocking_pool, deps.random),
      hot_reload_(
          deps.options.enforce ? std::string() : deps.options.hot_reload_directory,
          deps.options.hot_reload_fd,
          deps.blocking_pool),
      async_(*this),
      async_target_(*this) {
    table_.Add<model::CreateFunction>(this, &LambdaService::CreateFunction);
    table_.Add<model::GetFunction>(this, &LambdaService::GetFunction);
    table_.Add<model::GetFunctionConfiguration>(this, &LambdaService::GetFunctionConfiguration);
    table_.Add<model::ListFunctions>(this, &LambdaService::ListFunctions);
    table_.Add<model::UpdateFunctionCode>(this, &LambdaService::UpdateFunctionCode);
    table_.Add<model::UpdateFunctionConfiguration>(
        this, &LambdaService::UpdateFunctionConfiguration);
    table_.Add<model::DeleteFunction>(this, &LambdaService::DeleteFunction);
    table_.Add<model::Invoke>(this, &LambdaService::Invoke);
    table_.Add<model::InvokeWithResponseStream>(this, &LambdaService::InvokeWithResponseStream);
    table_.Add<model::PublishVersion>(this, &LambdaService::PublishVersion);
    table_.Add<model::ListVersionsByFunction>(this, &LambdaService::ListVersionsByFunction);
    table_.Add<model::CreateAlias>(this, &LambdaService::CreateAlias);
    table_.Add<model::GetAlias>(this, &LambdaService::GetAlias);
    table_.Add<model::UpdateAlias>(this, &LambdaService::UpdateAlias);
    table_.Add<model::DeleteAlias>(this, &LambdaService::DeleteAlias);
    table_.Add<model::ListAliases>(this, &LambdaService::ListAliases);
    table_.Add<model::TagResource>(this, &LambdaService::TagResource);
    table_.Add<model::UntagResource>(this, &LambdaService::UntagResource);
    table_.Add<model::GetFunctionCodeSigningConfig>(
        this, &LambdaService::GetFunctionCodeSigningConfig);
    table_.Add<model::ListTags>(this, &LambdaService::ListTags);
    table_.Add<model::GetAccountSettings>(this, &LambdaService::GetAccountSettings);
    table_.Add<model::GetRuntimeManagementConfig>(this, &LambdaService::GetRuntimeManagementConfig);
    table_.Add<model::PutRuntimeManagementConfig>(this, &LambdaService::PutRuntimeManagementConfig);
    table_.Add<model::PutFunctionCodeSigningConfig>(
        this, &LambdaService::PutFunctionCodeSigningConfig);
    table_.Add<model::DeleteFunctionCodeSigningConfig>(
        this, &LambdaService::DeleteFunctionCodeSigningConfig);
    table_.Add<model::GetCodeSigningConfig>(this, &LambdaService::GetCodeSigningConfig);
    table_.Add<model::UpdateCodeSigningConfig>(this, &LambdaService::UpdateCodeSigningConfig);
    table_.Add<model::DeleteCodeSigningConfig>(this, &LambdaService::DeleteCodeSigningConfig);
    table_.Add<model::ListFunctionsByCodeSigningConfig>(
        this, &LambdaService::ListFunctionsByCodeSigningConfig);
    table_.Add<model::ListCodeSigningConfigs>(this, &LambdaService::ListCodeSigningConfigs);
    table_.Add<model::GetProvisionedConcurrencyConfig>(
        this, &LambdaService::GetProvisionedConcurrencyConfig);
    table_.Add<model::DeleteProvisionedConcurrencyConfig>(
        this, &LambdaService::DeleteProvisionedConcurrencyConfig);
    table_.Add<model::ListProvisionedConcurrencyConfigs>(
        this, &LambdaService::ListProvisionedConcurrencyConfigs);
    table_.Add<model::InvokeAsync>(this, &LambdaService::InvokeAsync);
    table_.Add<model::PutFunctionEventInvokeConfig>(
        this, &LambdaService::PutFunctionEventInvokeConfig);
    table_.Add<model::GetFunctionEventInvokeConfig>(
        this, &LambdaService::GetFunctionEventInvokeConfig);
    table_.Add<model::UpdateFunctionEventInvokeConfig>(
        this, &LambdaService::UpdateFunctionEventInvokeConfig);
    table_.Add<model::DeleteFunctionEventInvokeConfig>(
        this, &LambdaService::DeleteFunctionEventInvokeConfig);
    table_.Add<model::ListFunctionEventInvokeConfigs>(
        this, &LambdaService::ListFunctionEventInvokeConfigs);
    table_.Add<model::PublishLayerVersion>(this, &LambdaService::PublishLayerVersion);
    table_.Add<model::GetLayerVersion>(this, &LambdaService::GetLayerVersion);
    table_.Add<model::GetLayerVersionByArn>(this, &LambdaService::GetLayerVersionByArn);
    table_.Add<model::DeleteLayerVersion>(this, &LambdaService::DeleteLayerVersion);
    table_.Add<model::ListLayers>(this, &LambdaService::ListLayers);
    table_.Add<model::ListLayerVersions>(this, &LambdaService::ListLayerVersions);
    table_.Add<model::AddLayerVersionPermission>(this, &LambdaService::AddLayerVersionPermission);
    table_.Add<model::RemoveLayerVersionPermission>(
        this, &LambdaService::RemoveLayerVersionPermission);
    table_.Add<model::GetLayerVersionPolicy>(this, &LambdaService::GetLayerVersionPolicy);
    table_.Add<model::PutFunctionConcurrency>(this, &LambdaService::PutFunctionConcurrency);
    table_.Add<model::GetFunctionConcurrency>(this, &LambdaService::GetFunctionConcurrency);
    table_.Add<model::DeleteFunctionConcurrency>(this, &LambdaService::DeleteFunctionConcurrency);
    table_.Add<model::PutFunctionRecursionConfig>(this, &LambdaService::PutFunctionRecursionConfig);
    table_.Add<model::GetFunctionRecursionConfig>(this, &LambdaService::GetFunctionRecursionConfig);
    table_.Add<model::AddPermission>(this, &LambdaService::AddPermission);
    table_.Add<model::GetPolicy>(this, &LambdaService::GetPolicy);
    table_.Add<model::RemovePermission>(this, &LambdaService::RemovePermission);
    table_.Add<model::CreateFunctionUrlConfig>(this, &LambdaService::CreateFunctionUrlConfig);
    table_.Add<model::GetFunctionUrlConfig>(this, &LambdaService::GetFunctionUrlConfig);
    table_.Add<model::UpdateFunctionUrlConfig>(this, &LambdaService::UpdateFunctionUrlConfig);
    table_.Add<model::DeleteFunctionUrlConfig>(this, &LambdaService::DeleteFunctionUrlConfig);
    table_.Add<model::ListFunctionUrlConfigs>(this, &LambdaService::ListFunctionUrlConfigs);
    deps_.sites.Add(std::string(kFunctionUrlLabel), url_site_);
    deps_.admin.Add("GET", "/_hearth/function-urls", [this](aws::AdminRequest request) {
        return ServeUrlList(std::move(request));
    });
    deps_.admin.Add(
        "GET",
        "/_hearth/snapshots",
        [this](aws::AdminRequest request) -> Task<Result<aws::AdminAnswer>> {
            aws::AdminAnswer answer;
            HEARTH_CO_TRY(
                answer.body, co_await snapshots_.Describe(request.account, request.region));
            co_return answer;
        });
    AddEndpoints();
}

LambdaService::~LambdaService() = default;

void LambdaService::UseInvoker(std::unique_ptr<Invoker> invoker) {
    invoker_ = std::move(invoker);
    snapshots_.UseInvoker(invoker_.get());
}

const aws::model::Service& LambdaService::Model() const {
    return model::Service();
}

Task<Status> LambdaService::Start() {
    std::string boot_id;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> boot_id;
    HEARTH_CO_TRY(auto unpacked, code_.Prepare(boot_id));
    if (invoker_) {
        HEARTH_CO_RETURN_IF_ERROR(co_await invoker_->Start());
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await snapshots_.Start());
    background_.Spawn(CleanUp(std::move(unpacked)));
    if (mappings_) {
        co_await mappings_->Start();
    }
    co_return Status();
}

Task<void> LambdaService::Stop() {
    if (mappings_) {
        co_await mappings_->BeginStop();
    }
    if (invoker_) {
        co_await invoker_->Stop();
    }
    if (mappings_) {
        co_await mappings_->Stop();
    }
    co_await background_.Join();
}

// Ends what a crash left of deletions, and takes away what it left of uploads.
Task<void> LambdaService::CleanUp(std::vector<std::string> unpacked) {
    const auto garbage = co_await store_.ListGarbage();
    if (!garbage.ok()) {
        log::Warn("lambda: looking for interrupted deletions: {}", garbage.error().message());
        co_return;
    }
    for (const auto& one : *garbage) {
        auto unused = co_await store_.ClearGarbage(one.key, one.function_id);
        if (!unused.ok()) {
            log::Warn(
                "lambda: ending the deletion of {}: {}", one.key.name, unused.error().message());
            continue;
        }
        co_await DropCode(*std::move(unused));
    }
    const CodeStore::IsKnown is_known = [this](std::string_view id) {
        return store_.IsKnownCode(id);
    };
    const Status swept = co_await code_.Sweep(std::move(unpacked), is_known);
    if (!swept.ok()) {
        log::Warn("lambda: sweeping code: {}", swept.error().message());
    }
}

Result<FunctionReference> LambdaService::Reference(
    const aws::RequestContext& context,
    const std::optional<std::string>& function_name,
    const std::optional<std::string>& qualifier) const {
    HEARTH_TRY(
        FunctionReference reference,
        ParseFunctionName(
            function_name.value_or(""), qualifier.value_or(""), context.account, context.region));
    if (reference.account != context.account) {
        return NotShared(context, reference);
    }
    return reference;
}

Status LambdaService::RefuseQualifier(const FunctionReference& reference) {
    if (!reference.qualifier.empty() && reference.qualifier != kLatest) {
        return errors::InvalidParameterValue(fmt::format(
            "Only $LATEST can be changed, not {}.",
            FunctionArn(reference.account, reference.region, reference.name, reference.qualifier)));
    }
    return Status();
}

SettingsMode LambdaService::Mode() const {
    return {
        .lenient = deps_.options.lenient,
        .snapshots = invoker_ != nullptr && invoker_->can_save_snapshots(),
        .snapstart_as_aws = deps_.options.snapstart_as_aws};
}

void LambdaService::NameIgnored(
    aws::RequestContext& context, const std::vector<std::string>& ignored) {
    if (!ignored.empty()) {
        context.response_headers.emplace_back(
            "x-hearth-ignored", fmt::format("{}", fmt::join(ignored, ", ")));
    }
}

Task<Status> LambdaService::CheckRole(const aws::RequestContext& context, std::string role) {
    // arn:aws:iam::123456789012:role/...: the model has checked the pattern.
    const size_t account_at = role.find("::") + 2;
    const AccountId role_account(role.substr(account_at, 12));
    RoleDirectory::Answer answer;
    if (roles_ != nullptr) {
        HEARTH_CO_TRY(
            answer, co_await roles_->FindRole(role_account, role, "lambda.amazonaws.com"));
    }
    // In open mode a first function needs no IAM, and examples with any account's role work.
    if (!deps_.options.enforce && !answer.account_has_roles) {
        co_return Status();
    }
    if (role_account != context.account) {
        co_return errors::AccessDenied("Cross-account pass role is not allowed.");
    }
    if (roles_ != nullptr && (!answer.exists || !answer.trusts)) {
        co_return errors::InvalidParameterValue(
            "The role defined for the function cannot be assumed by Lambda.");
    }
    co_return Status();
}

Task<Result<LambdaService::Found>> LambdaService::Find(const FunctionReference& reference) {
    const FunctionKey key = KeyOf(reference);
    const std::string arn =
        FunctionArn(reference.account, reference.region, reference.name, reference.qualifier);
    Found found;
    HEARTH_CO_TRY(auto head, co_await store_.FindHead(key));
    if (!head) {
        co_return errors::FunctionNotFound(arn);
    }
    found.head = *std::move(head);
    std::string version = reference.qualifier.empty() ? std::string(kLatest) : reference.qualifier;
    if (version != kLatest && !IsVersionNumber(version)) {
        HEARTH_CO_TRY(const auto alias, co_await store_.FindAlias(key, found.head.id, version));
        if (!alias) {
            co_return errors::FunctionNotFound(arn);
        }
        found.alias = version;
        version = alias->function_version;
    }
    if (version == kLatest) {
        HEARTH_CO_TRY(found.record, co_await store_.FindLatest(key));
    } else {
        HEARTH_CO_TRY(
            found.record, co_await store_.FindVersion(key, found.head.id, std::stoll(version)));
    }
    if (!found.record) {
        co_return errors::FunctionNotFound(arn);
    }
    co_return found;
}

Task<void> LambdaService::DropCode(std::vector<std::string> blobs) {
    for (std::string& blob : blobs) {
        co_await code_.Drop(std::move(blob));
    }
}

Task<void> LambdaService::Retire(
    const FunctionKey& key, std::string version, std::string keep_revision) {
    if (invoker_) {
        co_await invoker_->Retire(
            key.account, key.region, key.name, std::move(version), std::move(keep_revision));
    }
}

}  // namespace hearth::lambda
