#include "codec/json/json.h"
#include "codec/timestamp/timestamp.h"
#include "services/lambda/errors.h"
#include "services/lambda/function_url_site.h"
#include "services/lambda/function_url_store.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/marker.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

#include <string>
#include <utility>

// The configuration of function URLs. What comes to the URLs is function_url_site.h's matter.
namespace hearth::lambda {
namespace {

// As AWS's ids; so many that nobody finds one by trying.
constexpr size_t kUrlIdCharacters = 32;
constexpr std::string_view kUrlIdAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";

Error FunctionDoesNotExist() {
    return errors::ResourceNotFound("Function does not exist");
}

Error UrlDoesNotExist() {
    return errors::ResourceNotFound("The resource you requested does not exist.");
}

// A URL belongs to $LATEST, which has no qualifier here, or to an alias.
Status CheckQualifier(const std::string& qualifier) {
    if (qualifier == kLatest || IsVersionNumber(qualifier)) {
        return errors::Validation(
            qualifier,
            "qualifier",
            "Member must satisfy regular expression pattern: "
            "((?!^\\d+$)^[0-9a-zA-Z-_]+$)");
    }
    return Status();
}

// Settings without any member take them away.
std::optional<UrlCors> ReadCors(const model::Cors& input) {
    UrlCors cors;
    cors.allow_credentials = input.allow_credentials.value_or(false);
    cors.max_age_s = input.max_age;
    cors.allow_headers = input.allow_headers;
    cors.allow_methods = input.allow_methods;
    cors.allow_origins = input.allow_origins;
    cors.expose_headers = input.expose_headers;
    return cors == UrlCors() ? std::nullopt : std::optional(std::move(cors));
}

std::optional<model::Cors> ShowCors(const std::optional<UrlCors>& cors) {
    if (!cors) {
        return std::nullopt;
    }
    model::Cors out;
    if (cors->allow_credentials) {
        out.allow_credentials = true;
    }
    out.max_age = cors->max_age_s;
    out.allow_headers = cors->allow_headers;
    out.allow_methods = cors->allow_methods;
    out.allow_origins = cors->allow_origins;
    out.expose_headers = cors->expose_headers;
    return out;
}

const char* ModeText(const FunctionUrlRecord& record) {
    return record.streaming ? "RESPONSE_STREAM" : "BUFFERED";
}

template <class Output>
Output Show(const FunctionKey& key, const FunctionUrlRecord& record, std::string url) {
    Output out;
    out.function_url = std::move(url);
    out.function_arn = FunctionArn(key.account, key.region, key.name, record.alias);
    out.auth_type = record.auth_type;
    out.cors = ShowCors(record.cors);
    out.creation_time = codec::FormatIso8601(record.created, true);
    out.invoke_mode = ModeText(record);
    if constexpr (requires { out.last_modified_time; }) {
        out.last_modified_time = codec::FormatIso8601(record.modified, true);
    }
    return out;
}

bool IsStreaming(const std::optional<std::string>& invoke_mode) {
    return invoke_mode == "RESPONSE_STREAM";
}

}  // namespace

std::string LambdaService::UrlOf(
    const aws::RequestContext& context,
    const FunctionKey& key,
    const FunctionUrlRecord& record) const {
    // What a function's own listener is called says nothing to a browser.
    return FunctionUrlText(
        context.calling_function_arn.empty() ? context.endpoint : deps_.options.endpoint,
        record.id,
        key.region);
}

Task<Status> LambdaService::TransactUrl(const FunctionReference& reference, const UrlBody& body) {
    const FunctionKey key = KeyOf(reference);
    HEARTH_CO_RETURN_IF_ERROR(CheckQualifier(reference.qualifier));
    const FunctionStore::Body wrapped = [&](FunctionTransaction& functions) -> Task<Status> {
        HEARTH_CO_TRY(const auto head, co_await functions.FindHead(key));
        if (!head) {
            co_return FunctionDoesNotExist();
        }
        FunctionUrlTransaction urls(functions.raw());
        HEARTH_CO_TRY(auto record, co_await urls.Find(key, head->id, reference.qualifier));
        co_return co_await body(functions, urls, *head, std::move(record));
    };
    co_return co_await store_.Transact(wrapped);
}

Task<Result<model::CreateFunctionUrlConfig::Output>> LambdaService::CreateFunctionUrlConfig(
    aws::RequestContext& context, model::CreateFunctionUrlConfig::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    const FunctionKey key = KeyOf(reference);
    FunctionUrlRecord made;
    made.id = deps_.random.Text(kUrlIdCharacters, kUrlIdAlphabet);
    made.alias = reference.qualifier;
    made.auth_type = *input.auth_type;
    made.streaming = IsStreaming(input.invoke_mode);
    if (input.cors) {
        made.cors = ReadCors(*input.cors);
    }
    made.created = context.now;
    made.modified = context.now;
    const UrlBody body = [&](FunctionTransaction& functions,
                             FunctionUrlTransaction& urls,
                             const FunctionHead& head,
                             std::optional<FunctionUrlRecord> existing) -> Task<Status> {
        if (!made.alias.empty()) {
            HEARTH_CO_TRY(const auto alias, co_await functions.FindAlias(key, head.id, made.alias));
            if (!alias) {
                co_return FunctionDoesNotExist();
            }
        }
        if (existing) {
            co_return errors::ResourceConflict(fmt::format(
                "Failed to create function url config for [functionArn = {}]. Error message:  "
                "FunctionUrlConfig exists for this Lambda function",
                FunctionArn(key.account, key.region, key.name, made.alias)));
        }
        urls.Put(key, head.id, made);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await TransactUrl(reference, body));
    co_return Show<model::CreateFunctionUrlConfig::Output>(key, made, UrlOf(context, key, made));
}

Task<Result<model::GetFunctionUrlConfig::Output>> LambdaService::GetFunctionUrlConfig(
    aws::RequestContext& context, model::GetFunctionUrlConfig::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    FunctionUrlRecord found;
    const UrlBody body = [&](FunctionTransaction&,
                             FunctionUrlTransaction&,
                             const FunctionHead&,
                             std::optional<FunctionUrlRecord> existing) -> Task<Status> {
        if (!existing) {
            co_return UrlDoesNotExist();
        }
        found = *std::move(existing);
        co_return Status();
    };
    const Status status = co_await TransactUrl(reference, body);
    if (!status.ok()) {
        // A read does not tell whether it is the function or the URL that is missing.
        co_return status.error().kind() == Error::Kind::kNotFound ? UrlDoesNotExist()
                                                                  : status.error();
    }
    const FunctionKey key = KeyOf(reference);
    co_return Show<model::GetFunctionUrlConfig::Output>(key, found, UrlOf(context, key, found));
}

Task<Result<model::UpdateFunctionUrlConfig::Output>> LambdaService::UpdateFunctionUrlConfig(
    aws::RequestContext& context, model::UpdateFunctionUrlConfig::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    const FunctionKey key = KeyOf(reference);
    FunctionUrlRecord changed;
    const UrlBody body = [&](FunctionTransaction&,
                             FunctionUrlTransaction& urls,
                             const FunctionHead& head,
                             std::optional<FunctionUrlRecord> existing) -> Task<Status> {
        if (!existing) {
            co_return UrlDoesNotExist();
        }
        changed = *std::move(existing);
        changed.auth_type = input.auth_type.value_or(changed.auth_type);
        if (input.invoke_mode) {
            changed.streaming = IsStreaming(input.invoke_mode);
        }
        if (input.cors) {
            // As a whole: what is not given is gone.
            changed.cors = ReadCors(*input.cors);
        }
        changed.modified = context.now;
        urls.Put(key, head.id, changed);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await TransactUrl(reference, body));
    co_return Show<model::UpdateFunctionUrlConfig::Output>(
        key, changed, UrlOf(context, key, changed));
}

Task<Result<model::DeleteFunctionUrlConfig::Output>> LambdaService::DeleteFunctionUrlConfig(
    aws::RequestContext& context, model::DeleteFunctionUrlConfig::Input input) {
    HEARTH_CO_TRY(
        const FunctionReference reference,
        Reference(context, input.function_name, input.qualifier));
    const FunctionKey key = KeyOf(reference);
    const UrlBody body = [&](FunctionTransaction&,
                             FunctionUrlTransaction& urls,
                             const FunctionHead& head,
                             std::optional<FunctionUrlRecord> existing) -> Task<Status> {
        if (!existing) {
            co_return UrlDoesNotExist();
        }
        urls.Delete(key, head.id, *existing);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await TransactUrl(reference, body));
    co_return model::DeleteFunctionUrlConfig::Output();
}

Task<Result<model::ListFunctionUrlConfigs::Output>> LambdaService::ListFunctionUrlConfigs(
    aws::RequestContext& context, model::ListFunctionUrlConfigs::Input input) {
    HEARTH_CO_TRY(FunctionReference reference, Reference(context, input.function_name));
    reference.qualifier.clear();
    const FunctionKey key = KeyOf(reference);
    HEARTH_CO_TRY(const Marker at, DecodeMarker(input.marker));
    const size_t limit = PageSize(input.max_items);
    model::ListFunctionUrlConfigs::Output output;
    const UrlBody body = [&](FunctionTransaction&,
                             FunctionUrlTransaction& urls,
                             const FunctionHead& head,
                             std::optional<FunctionUrlRecord>) -> Task<Status> {
        output = {};
        output.function_url_configs.emplace();
        std::optional<std::string_view> after;
        if (input.marker && !input.marker->empty()) {
            after = at.name;
        }
        HEARTH_CO_TRY(const auto page, co_await urls.List(key, head.id, after, limit + 1));
        for (const FunctionUrlRecord& record : page) {
            if (output.function_url_configs->size() == limit) {
                output.next_marker = EncodeMarker({page[limit - 1].alias, 0});
                break;
            }
            output.function_url_configs->push_back(
                Show<model::FunctionUrlConfig>(key, record, UrlOf(context, key, record)));
        }
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await TransactUrl(reference, body));
    co_return output;
}

Task<Result<aws::AdminAnswer>> LambdaService::ServeUrlList(aws::AdminRequest request) {
    HEARTH_CO_TRY(const auto urls, co_await urls_.ListAll(request.account, request.region));
    codec::JsonWriter json;
    json.BeginObject();
    json.Key("urls");
    json.BeginArray();
    for (const auto& [owner, record] : urls) {
        json.BeginObject();
        json.Key("function");
        json.String(owner.key.name);
        json.Key("alias");
        json.String(owner.alias);
        json.Key("auth");
        json.String(record.auth_type);
        json.Key("mode");
        json.String(ModeText(record));
        json.Key("url");
        json.String(FunctionUrlText(deps_.options.endpoint, record.id, owner.key.region));
        json.EndObject();
    }
    json.EndArray();
    json.EndObject();
    aws::AdminAnswer answer;
    answer.body = json.Take();
    co_return answer;
}

}  // namespace hearth::lambda
