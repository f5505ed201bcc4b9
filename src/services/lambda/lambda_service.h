#pragma once

#include "aws/front/admin.h"
#include "aws/front/context.h"
#include "aws/front/service.h"
#include "base/result.h"
#include "rt/task.h"
#include "rt/task_group.h"
#include "services/event_target.h"
#include "services/invocation_log.h"
#include "services/lambda/async_event_target.h"
#include "services/lambda/async_invocations.h"
#include "services/lambda/code_store.h"
#include "services/lambda/concurrency.h"
#include "services/lambda/function_policy.h"
#include "services/lambda/function_store.h"
#include "services/lambda/function_url_site.h"
#include "services/lambda/function_url_store.h"
#include "services/lambda/hot_reload.h"
#include "services/lambda/invoker.h"
#include "services/lambda/layer_name.h"
#include "services/lambda/layer_store.h"
#include "services/lambda/settings.h"
#include "services/lambda/version_snapshots.h"
#include "services/message_queues.h"
#include "services/object_reader.h"
#include "services/role_directory.h"
#include "services/service_deps.h"

#include "gen/lambda/operations.gen.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

class EventSourceMappings;
struct MappingRecord;

// AWS Lambda's control plane: functions, versions, aliases, tags. How a function runs is the
// Invoker's matter. All state is in storage; README.md tells states and invariants.
class LambdaService final : public aws::ServiceApi {
  public:
    // `roles` may be null: every role is then taken as given. It must outlive the service.
    LambdaService(const ServiceDeps& deps, RoleDirectory* roles);
    ~LambdaService() override;

    // The data plane, made with code(). Before Start.
    void UseInvoker(std::unique_ptr<Invoker> invoker);

    // Where S3Bucket and S3Key are read; without one they are refused.
    void UseObjects(ObjectReader* objects) { objects_ = objects; }

    // Where destinations and dead letters go; without them they are refused.
    void UseEventTargets(EventTarget* targets) {
        event_targets_ = targets;
        async_.UseTargets(targets);
    }

    // Functions as targets of other services' events.
    EventTarget& event_target() { return async_target_; }

    // What event source mappings take messages from; without it there are no mappings. Before
    // Start.
    void UseQueues(MessageQueues& queues);

    CodeStore& code() { return code_; }

    ConcurrencyLimits& concurrency() { return concurrency_; }

    const aws::model::Service& Model() const override;

    const aws::OperationTable& Operations() const override { return table_; }

    Task<Status> Start() override;
    Task<void> Stop() override;

    // Operations; each in the .cc that its name suggests.
    Task<Result<model::CreateFunction::Output>> CreateFunction(
        aws::RequestContext& context, model::CreateFunction::Input input);
    Task<Result<model::GetFunction::Output>> GetFunction(
        aws::RequestContext& context, model::GetFunction::Input input);
    Task<Result<model::GetFunctionConfiguration::Output>> GetFunctionConfiguration(
        aws::RequestContext& context, model::GetFunctionConfiguration::Input input);
    Task<Result<model::ListFunctions::Output>> ListFunctions(
        aws::RequestContext& context, model::ListFunctions::Input input);
    Task<Result<model::UpdateFunctionCode::Output>> UpdateFunctionCode(
        aws::RequestContext& context, model::UpdateFunctionCode::Input input);
    Task<Result<model::UpdateFunctionConfiguration::Output>> UpdateFunctionConfiguration(
        aws::RequestContext& context, model::UpdateFunctionConfiguration::Input input);
    Task<Result<model::DeleteFunction::Output>> DeleteFunction(
        aws::RequestContext& context, model::DeleteFunction::Input input);
    Task<Result<model::Invoke::Output>> Invoke(
        aws::RequestContext& context, model::Invoke::Input input);
    Task<Result<model::InvokeWithResponseStream::Output>> InvokeWithResponseStream(
        aws::RequestContext& context, model::InvokeWithResponseStream::Input input);
    Task<Result<model::PublishVersion::Output>> PublishVersion(
        aws::RequestContext& context, model::PublishVersion::Input input);
    Task<Result<model::ListVersionsByFunction::Output>> ListVersionsByFunction(
        aws::RequestContext& context, model::ListVersionsByFunction::Input input);
    Task<Result<model::CreateAlias::Output>> CreateAlias(
        aws::RequestContext& context, model::CreateAlias::Input input);
    Task<Result<model::GetAlias::Output>> GetAlias(
        aws::RequestContext& context, model::GetAlias::Input input);
    Task<Result<model::UpdateAlias::Output>> UpdateAlias(
        aws::RequestContext& context, model::UpdateAlias::Input input);
    Task<Result<model::DeleteAlias::Output>> DeleteAlias(
        aws::RequestContext& context, model::DeleteAlias::Input input);
    Task<Result<model::ListAliases::Output>> ListAliases(
        aws::RequestContext& context, model::ListAliases::Input input);
    Task<Result<model::TagResource::Output>> TagResource(
        aws::RequestContext& context, model::TagResource::Input input);
    Task<Result<model::UntagResource::Output>> UntagResource(
        aws::RequestContext& context, model::UntagResource::Input input);
    Task<Result<model::ListTags::Output>> ListTags(
        aws::RequestContext& context, model::ListTags::Input input);
    Task<Result<model::GetFunctionCodeSigningConfig::Output>> GetFunctionCodeSigningConfig(
        aws::RequestContext& context, model::GetFunctionCodeSigningConfig::Input input);
    Task<Result<model::GetAccountSettings::Output>> GetAccountSettings(
        aws::RequestContext& context, model::GetAccountSettings::Input input);
    Task<Result<model::GetRuntimeManagementConfig::Output>> GetRuntimeManagementConfig(
        aws::RequestContext& context, model::GetRuntimeManagementConfig::Input input);
    Task<Result<model::PutRuntimeManagementConfig::Output>> PutRuntimeManagementConfig(
        aws::RequestContext& context, model::PutRuntimeManagementConfig::Input input);
    // permissions.cc
    Task<Result<model::AddPermission::Output>> AddPermission(
        aws::RequestContext& context, model::AddPermission::Input input);
    Task<Result<model::GetPolicy::Output>> GetPolicy(
        aws::RequestContext& context, model::GetPolicy::Input input);
    Task<Result<model::RemovePermission::Output>> RemovePermission(
        aws::RequestContext& context, model::RemovePermission::Input input);

    // Whether the resource policy of what `reference` names lets a service of AWS invoke it.
    Task<Result<bool>> MayInvoke(
        FunctionReference reference, InvokingService service, WallClock::time_point now);

    // recursion.cc
    Task<Result<model::PutFunctionRecursionConfig::Output>> PutFunctionRecursionConfig(
        aws::RequestContext& context, model::PutFunctionRecursionConfig::Input input);
    Task<Result<model::GetFunctionRecursionConfig::Output>> GetFunctionRecursionConfig(
        aws::RequestContext& context, model::GetFunctionRecursionConfig::Input input);

    // function_concurrency.cc
    Task<Result<model::PutFunctionConcurrency::Output>> PutFunctionConcurrency(
        aws::RequestContext& context, model::PutFunctionConcurrency::Input input);
    Task<Result<model::GetFunctionConcurrency::Output>> GetFunctionConcurrency(
        aws::RequestContext& context, model::GetFunctionConcurrency::Input input);
    Task<Result<model::DeleteFunctionConcurrency::Output>> DeleteFunctionConcurrency(
        aws::RequestContext& context, model::DeleteFunctionConcurrency::Input input);

    // layers.cc
    Task<Result<model::PublishLayerVersion::Output>> PublishLayerVersion(
        aws::RequestContext& context, model::PublishLayerVersion::Input input);
    Task<Result<model::GetLayerVersion::Output>> GetLayerVersion(
        aws::RequestContext& context, model::GetLayerVersion::Input input);
    Task<Result<model::GetLayerVersionByArn::Output>> GetLayerVersionByArn(
        aws::RequestContext& context, model::GetLayerVersionByArn::Input input);
    Task<Result<model::DeleteLayerVersion::Output>> DeleteLayerVersion(
        aws::RequestContext& context, model::DeleteLayerVersion::Input input);
    Task<Result<model::ListLayers::Output>> ListLayers(
        aws::RequestContext& context, model::ListLayers::Input input);
    Task<Result<model::ListLayerVersions::Output>> ListLayerVersions(
        aws::RequestContext& context, model::ListLayerVersions::Input input);
    // layer_policy.cc
    Task<Result<model::AddLayerVersionPermission::Output>> AddLayerVersionPermission(
        aws::RequestContext& context, model::AddLayerVersionPermission::Input input);
    Task<Result<model::RemoveLayerVersionPermission::Output>> RemoveLayerVersionPermission(
        aws::RequestContext& context, model::RemoveLayerVersionPermission::Input input);
    Task<Result<model::GetLayerVersionPolicy::Output>> GetLayerVersionPolicy(
        aws::RequestContext& context, model::GetLayerVersionPolicy::Input input);
    // absent_configurations.cc
    Task<Result<model::PutFunctionCodeSigningConfig::Output>> PutFunctionCodeSigningConfig(
        aws::RequestContext& context, model::PutFunctionCodeSigningConfig::Input input);
    Task<Result<model::DeleteFunctionCodeSigningConfig::Output>> DeleteFunctionCodeSigningConfig(
        aws::RequestContext& context, model::DeleteFunctionCodeSigningConfig::Input input);
    Task<Result<model::GetCodeSigningConfig::Output>> GetCodeSigningConfig(
        aws::RequestContext& context, model::GetCodeSigningConfig::Input input);
    Task<Result<model::UpdateCodeSigningConfig::Output>> UpdateCodeSigningConfig(
        aws::RequestContext& context, model::UpdateCodeSigningConfig::Input input);
    Task<Result<model::DeleteCodeSigningConfig::Output>> DeleteCodeSigningConfig(
        aws::RequestContext& context, model::DeleteCodeSigningConfig::Input input);
    Task<Result<model::ListFunctionsByCodeSigningConfig::Output>> ListFunctionsByCodeSigningConfig(
        aws::RequestContext& context, model::ListFunctionsByCodeSigningConfig::Input input);
    Task<Result<model::ListCodeSigningConfigs::Output>> ListCodeSigningConfigs(
        aws::RequestContext& context, model::ListCodeSigningConfigs::Input input);
    Task<Result<model::GetProvisionedConcurrencyConfig::Output>> GetProvisionedConcurrencyConfig(
        aws::RequestContext& context, model::GetProvisionedConcurrencyConfig::Input input);
    Task<Result<model::DeleteProvisionedConcurrencyConfig::Output>>
    DeleteProvisionedConcurrencyConfig(
        aws::RequestContext& context, model::DeleteProvisionedConcurrencyConfig::Input input);
    Task<Result<model::ListProvisionedConcurrencyConfigs::Output>>
    ListProvisionedConcurrencyConfigs(
        aws::RequestContext& context, model::ListProvisionedConcurrencyConfigs::Input input);
    // invoke.cc
    Task<Result<model::InvokeAsync::Output>> InvokeAsync(
        aws::RequestContext& context, model::InvokeAsync::Input input);
    // event_invoke_config.cc
    Task<Result<model::PutFunctionEventInvokeConfig::Output>> PutFunctionEventInvokeConfig(
        aws::RequestContext& context, model::PutFunctionEventInvokeConfig::Input input);
    Task<Result<model::GetFunctionEventInvokeConfig::Output>> GetFunctionEventInvokeConfig(
        aws::RequestContext& context, model::GetFunctionEventInvokeConfig::Input input);
    Task<Result<model::UpdateFunctionEventInvokeConfig::Output>> UpdateFunctionEventInvokeConfig(
        aws::RequestContext& context, model::UpdateFunctionEventInvokeConfig::Input input);
    Task<Result<model::DeleteFunctionEventInvokeConfig::Output>> DeleteFunctionEventInvokeConfig(
        aws::RequestContext& context, model::DeleteFunctionEventInvokeConfig::Input input);
    Task<Result<model::ListFunctionEventInvokeConfigs::Output>> ListFunctionEventInvokeConfigs(
        aws::RequestContext& context, model::ListFunctionEventInvokeConfigs::Input input);
    // function_urls.cc
    Task<Result<model::CreateFunctionUrlConfig::Output>> CreateFunctionUrlConfig(
        aws::RequestContext& context, model::CreateFunctionUrlConfig::Input input);
    Task<Result<model::GetFunctionUrlConfig::Output>> GetFunctionUrlConfig(
        aws::RequestContext& context, model::GetFunctionUrlConfig::Input input);
    Task<Result<model::UpdateFunctionUrlConfig::Output>> UpdateFunctionUrlConfig(
        aws::RequestContext& context, model::UpdateFunctionUrlConfig::Input input);
    Task<Result<model::DeleteFunctionUrlConfig::Output>> DeleteFunctionUrlConfig(
        aws::RequestContext& context, model::DeleteFunctionUrlConfig::Input input);
    Task<Result<model::ListFunctionUrlConfigs::Output>> ListFunctionUrlConfigs(
        aws::RequestContext& context, model::ListFunctionUrlConfigs::Input input);

  private:
    friend class AsyncEventTarget;
    friend class AsyncInvocations;
    friend class FunctionUrlSite;

    // What FunctionName and Qualifier of a call mean, for callers of this account.
    Result<FunctionReference> Reference(
        const aws::RequestContext& context,
        const std::optional<std::string>& function_name,
        const std::optional<std::string>& qualifier = std::nullopt) const;

    // --- permissions.cc: the same for operations that a resource policy may open to callers of
    // other accounts; the function is then in reference.account.
    Task<Result<FunctionReference>> SharedReference(
        const aws::RequestContext& context,
        const std::optional<std::string>& function_name,
        const std::optional<std::string>& qualifier = std::nullopt);
    // --- recursion.cc: notes this call in the chain that its trace header tells of.
    //   errors  RecursiveInvocationException
    Task<Status> CheckRecursion(
        const aws::RequestContext& context,
        const FunctionReference& reference,
        InvokeRequest& request);

    // --- event_invoke_config.cc

    struct EventInvokeConfigChange {
        std::optional<int32_t> retries_max;
        std::optional<int32_t> age_max_s;
        // Null: as they are.
        const model::DestinationConfig* destinations = nullptr;
    };

    Task<Result<model::FunctionEventInvokeConfig>> WriteEventInvokeConfig(
        const aws::RequestContext& context,
        FunctionReference reference,
        EventInvokeConfigChange change,
        bool update);
    // Whether records and dead letters of a function can go there.
    //   errors  InvalidParameterValueException
    Task<Status> CheckAsyncTarget(FunctionReference reference, std::string target_arn);
    // The same for DeadLetterConfig; an empty ARN takes it away.
    Task<Status> CheckDeadLetter(FunctionReference reference, std::string target_arn);
    // --- function_concurrency.cc: a failed call as its caller sees it; those that came too fast
    // are told when to come again.
    static Error Refused(aws::RequestContext& context, Error error);
    // --- permissions.cc
    static Error NotShared(const aws::RequestContext& context, const FunctionReference& reference);

    static FunctionKey KeyOf(const FunctionReference& reference) {
        return {reference.account, reference.region, reference.name};
    }

    // Changes apply to $LATEST alone.
    static Status RefuseQualifier(const FunctionReference& reference);
    SettingsMode Mode() const;
    // Tells the caller which of its settings have no effect here (--lenient).
    static void NameIgnored(aws::RequestContext& context, const std::vector<std::string>& ignored);
    Task<Status> DeleteVersion(FunctionKey key, std::string qualifier);

    // Whether Lambda may assume `role`, as AWS answers it.
    Task<Status> CheckRole(const aws::RequestContext& context, std::string role);

    // The record that a qualifier names; aliases by their main version.
    struct Found {
        std::shared_ptr<const FunctionRecord> record;
        FunctionHead head;
        std::string alias;
    };

    Task<Result<Found>> Find(const FunctionReference& reference);

    // --- function_urls.cc

    // Runs with the function there; `existing` is the URL that the qualifier names.
    using UrlBody = std::function<Task<Status>(
        FunctionTransaction& functions,
        FunctionUrlTransaction& urls,
        const FunctionHead& head,
        std::optional<FunctionUrlRecord> existing)>;
    //   errors  ResourceNotFoundException "Function does not exist", and those of `body`
    Task<Status> TransactUrl(const FunctionReference& reference, const UrlBody& body);
    std::string UrlOf(
        const aws::RequestContext& context,
        const FunctionKey& key,
        const FunctionUrlRecord& record) const;
    // GET /_hearth/function-urls: all of the caller's account and region.
    Task<Result<aws::AdminAnswer>> ServeUrlList(aws::AdminRequest request);

    // --- prepare_call.cc

    // What one call runs. The code is there until the call ends, also when the function changes or
    // goes meanwhile.
    struct PreparedCall {
        ResolvedFunction resolved;
        std::shared_ptr<const CodeDirectory> code;
        // What a new environment may start from.
        std::optional<SnapshotSource> snapshot;
    };

    //   errors  SnapStartNotReadyException; ResourceNotFoundException "Function not found: arn:..."
    Task<Result<PreparedCall>> PrepareCall(FunctionReference reference);

    // --- mapping_call.cc: runs the function of an event source mapping.
    Task<Result<InvokeResult>> CallForMapping(
        const MappingRecord& mapping, std::string payload, std::string trace_header);

    // --- code_package.cc: an uploaded zip on its way into a record.

    struct CodePackage {
        std::string sha256;  // base64, as CodeSha256
        int64_t size = 0;
        int64_t unzipped_size = 0;  // known once the zip was unpacked
        std::string blob;
        // This call has made the blob, and drops it when no record takes it.
        bool added = false;
        std::string hot_reload_directory;

        void WriteTo(FunctionRecord& record) const;
    };

    // What the code members of a request ask for: the zip's bytes in `zip`, or a directory.
    Result<CodePackage> ReadCode(
        std::optional<std::string>& zip_file,
        const std::optional<std::string>& s3_bucket,
        const std::optional<std::string>& s3_key,
        const std::optional<std::string>& image_uri,
        std::string& zip) const;
    // As ReadCode, with objects of S3 fetched.
    Task<Result<CodePackage>> FetchCode(
        const aws::RequestContext& context,
        std::optional<std::string>& zip_file,
        const std::optional<std::string>& s3_bucket,
        const std::optional<std::string>& s3_key,
        const std::optional<std::string>& s3_object_version,
        const std::optional<std::string>& image_uri,
        std::string& zip);

    using CodeBody = std::function<Task<Status>(FunctionTransaction&, const CodePackage&)>;
    // Keeps `zip` (or finds the same bytes kept already) and runs `body` in a transaction in which
    // that code is there. Code that no record took is taken away again.
    Task<Status> TransactWithCode(
        FunctionKey key, CodePackage package, std::string zip, const CodeBody& body);

    // --- layers.cc

    static LayerKey KeyOf(const LayerReference& reference) {
        return {reference.account, reference.region, reference.name};
    }

    // What LayerName and VersionNumber of a call mean that only the layer's own account may make.
    Result<LayerReference> OwnLayer(
        const aws::RequestContext& context,
        const std::optional<std::string>& name,
        const std::optional<int64_t>& version = std::nullopt) const;
    // For callers who may fetch it, of any account; empty when it is not there.
    Task<Result<std::optional<LayerVersionRecord>>> FindLayerVersion(
        const aws::RequestContext& context, LayerReference reference);
    template <class Output>
    Output ShowLayerVersion(
        const aws::RequestContext& context,
        const LayerKey& key,
        const LayerVersionRecord& record) const;

    // --- layer_use.cc

    // The layer versions that Layers of a request names, in its order, when its caller may use
    // them. With --lenient also those of accounts that are elsewhere, named in `ignored`.
    Task<Result<std::vector<LayerUse>>> ResolveLayers(
        const aws::RequestContext& context,
        FunctionTransaction& transaction,
        const std::vector<std::string>& arns,
        std::vector<std::string>& ignored);
    // Code and layers together have a limit.
    static Status CheckUnzippedSize(const FunctionRecord& record);
    // Gives $LATEST other layers inside a transaction, without storing it. Returns the blobs that
    // nobody uses any more.
    Task<Result<std::vector<std::string>>> ReplaceLayers(
        FunctionTransaction& transaction,
        const std::string& function_id,
        FunctionRecord& latest,
        std::vector<LayerUse> layers);

    // --- publish_version.cc

    struct Publication {
        FunctionRecord record;
        // False: nothing changed since the last one, which `record` is.
        bool is_new = true;
    };

    // Publishes `latest` inside a transaction; changes `head` and `latest` and stores them.
    Task<Result<Publication>> Publish(
        FunctionTransaction& transaction,
        const FunctionKey& key,
        FunctionHead& head,
        FunctionRecord& latest,
        const std::optional<std::string>& description,
        WallClock::time_point now);

    // Deletes blobs that no record names any more.
    Task<void> DropCode(std::vector<std::string> blobs);
    Task<void> Retire(const FunctionKey& key, std::string version, std::string keep_revision);
    std::string CodeLocation(
        const aws::RequestContext& context, const FunctionRecord& record) const;
    // Where a zip can be fetched for a while.
    std::string BlobLocation(const aws::RequestContext& context, const std::string& blob) const;
    Task<Result<aws::AdminAnswer>> ServeCode(aws::AdminRequest request);
    void AddEndpoints();
    Task<void> CleanUp(std::vector<std::string> unpacked);

    ServiceDeps deps_;
    RoleDirectory* roles_;
    codec::SealingKey sealing_key_;
    FunctionStore store_;
    ConcurrencyLimits concurrency_;
    LayerStore layers_;
    FunctionUrlStore urls_;
    FunctionUrlSite url_site_;
    VersionSnapshots snapshots_;
    CodeStore code_;
    HotReload hot_reload_;
    std::unique_ptr<Invoker> invoker_;
    std::unique_ptr<EventSourceMappings> mappings_;
    ObjectReader* objects_ = nullptr;
    EventTarget* event_targets_ = nullptr;
    AsyncInvocations async_;
    AsyncEventTarget async_target_;
    aws::OperationTable table_;
    rt::TaskGroup background_;
};

// The whole service: control plane and data plane. `event_targets` may be null.
std::unique_ptr<LambdaService> MakeLambdaService(
    const ServiceDeps& deps,
    RoleDirectory* roles,
    LogSink* log_sink,
    ObjectReader* objects,
    EventTarget* event_targets);

}  // namespace hearth::lambda
