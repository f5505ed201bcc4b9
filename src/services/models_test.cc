// The generated tables of all services hold together: what can only be seen with real models.
#include "aws/protocol/protocol.h"

#include "gen/iam/operations.gen.h"
#include "gen/lambda/operations.gen.h"
#include "gen/logs/operations.gen.h"
#include "gen/s3/operations.gen.h"
#include "gen/sqs/operations.gen.h"
#include "gen/sts/operations.gen.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace hearth {
namespace {

using aws::model::Member;
using aws::model::Operation;
using aws::model::Service;
using aws::model::Shape;

const Service* const kServices[] = {
    &iam::model::Service(),
    &lambda::model::Service(),
    &logs::model::Service(),
    &s3::model::Service(),
    &sqs::model::Service(),
    sqs::model::Service().query_form,
    &sts::model::Service()};

void CheckShape(const Shape* shape, std::set<const Shape*>& seen) {
    if (shape == nullptr || !seen.insert(shape).second) {
        return;
    }
    if (shape->pattern != nullptr) {
        EXPECT_TRUE(shape->pattern->Compiles()) << shape->name << ": " << shape->pattern->text();
    }
    EXPECT_LE(shape->min.value_or(0), shape->max.value_or(INT64_MAX)) << shape->name;
    CheckShape(shape->key, seen);
    CheckShape(shape->value, seen);
    for (const Member& member : shape->members) {
        CheckShape(member.shape, seen);
    }
}

TEST(Models, PatternsCompileAndRangesAreNotEmpty) {
    std::set<const Shape*> seen;
    for (const Service* service : kServices) {
        for (const Operation& operation : service->operations) {
            CheckShape(operation.input, seen);
            CheckShape(operation.output, seen);
        }
    }
    EXPECT_GT(seen.size(), 300U);
}

TEST(Models, ImplementedOperationsSayWhatTheyNeed) {
    for (const Service* service : kServices) {
        for (const Operation& operation : service->operations) {
            EXPECT_EQ(service->FindOperation(operation.name), &operation);
            if (!operation.known_only()) {
                EXPECT_TRUE(operation.action.starts_with(std::string(service->name) + ":"))
                    << operation.name;
                EXPECT_FALSE(operation.resource.empty()) << operation.name;
            }
        }
    }
}

TEST(Models, EveryPathLeadsToItsOwnOperation) {
    for (const Service* service : kServices) {
        if (service->protocol != aws::model::Protocol::kRestJson &&
            service->protocol != aws::model::Protocol::kRestXml) {
            continue;
        }
        for (const Operation& operation : service->operations) {
            std::string path;
            for (size_t i = 0; i < operation.uri.size(); ++i) {
                if (operation.uri[i] == '{') {
                    path += "value";
                    i = operation.uri.find('}', i);
                } else {
                    path += operation.uri[i];
                }
            }
            std::string query(operation.uri_query);
            for (const std::string_view name : operation.required_query) {
                query += (query.empty() ? "" : "&") + std::string(name) + "=1";
            }
            aws::protocol::Headers headers;
            for (const std::string_view name : operation.required_headers) {
                headers.emplace_back(name, "value");
            }
            const auto match = aws::protocol::FindOperation(
                *service,
                {.method = operation.method, .path = path, .query = query, .headers = headers});
            ASSERT_TRUE(match.ok()) << path;
            EXPECT_EQ(match->operation->name, operation.name) << path;
        }
    }
}

}  // namespace
}  // namespace hearth
