#pragma once

#include "storage/objects/object_bodies.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

// For tests of what refers to bodies: bodies that are only counted, and that each is given up once.
namespace hearth::s3 {

class CountedBodies final : public storage::ObjectBodies {
  public:
    Task<Result<std::unique_ptr<storage::BodySink>>> Create(storage::BodyOptions) override {
        co_return hearth::errors::Unavailable("counted only");
    }

    Task<Result<std::unique_ptr<storage::BodySource>>> Open(
        std::vector<storage::StoredBody>, storage::OpenOptions) override {
        co_return hearth::errors::Unavailable("counted only");
    }

    void Refer(storage::Transaction&, const storage::StoredBody&, std::string_view) override {}

    void Drop(storage::Transaction&, const std::vector<storage::StoredBody>&) override {}

    void Dropped(const std::vector<storage::StoredBody>& bodies) override {
        for (const storage::StoredBody& body : bodies) {
            EXPECT_TRUE(dropped.insert(body.id).second) << "a body was given up twice";
        }
    }

    Task<Result<storage::FinishedBody>> Move(
        const storage::StoredBody&,
        storage::BodyTier,
        std::optional<storage::CustomerKey>) override {
        co_return hearth::errors::Unavailable("counted only");
    }

    Task<Result<storage::BodyCheck>> Check(const storage::StoredBody&, uint64_t) override {
        co_return storage::BodyCheck();
    }

    bool IsCustomerKey(const storage::StoredBody&, const storage::CustomerKey&) const override {
        return true;
    }

    Task<Status> Start() override { co_return Status(); }

    Task<void> Stop() override { co_return; }

    std::set<uint64_t> dropped;
};

}  // namespace hearth::s3
