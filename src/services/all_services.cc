#include "services/all_services.h"

#include "services/iam/iam_service.h"
#include "services/lambda/lambda_service.h"
#include "services/logs/logs_service.h"
#include "services/s3/s3_service.h"
#include "services/sqs/sqs_service.h"
#include "services/sts/sts_service.h"

#include <utility>

namespace hearth {

AllServices MakeAllServices(const ServiceDeps& deps) {
    AllServices all;
    all.event_targets = std::make_unique<EventTargets>();
    EventTargets& targets = *all.event_targets;
    const auto add = [&all](auto service) -> auto& {
        auto& made = *service;
        all.services.push_back(std::move(service));
        return made;
    };
    iam::IamService& iam = add(
        std::make_unique<iam::IamService>(deps.kv, deps.master_key, deps.wall_clock, deps.random));
    all.access_keys = &iam;
    add(std::make_unique<sts::StsService>(deps, &iam));
    logs::LogsService& logs = add(std::make_unique<logs::LogsService>(deps, targets));
    s3::S3Service& objects = add(s3::MakeS3Service(deps, targets));
    sqs::SqsService& queues = add(std::make_unique<sqs::SqsService>(deps));
    targets.Add("sqs", queues.events());
    lambda::LambdaService& functions =
        add(lambda::MakeLambdaService(deps, &iam, &logs, &objects, &targets));
    functions.UseQueues(queues.queues());
    targets.Add("lambda", functions.event_target());
    targets.Add("s3", objects.event_target());
    return all;
}

}  // namespace hearth
