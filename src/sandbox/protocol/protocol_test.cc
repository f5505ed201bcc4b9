#include "sandbox/protocol/protocol.h"

#include <gtest/gtest.h>

namespace hearth::sandbox {
namespace {

CreateRequest Sample() {
    CreateRequest request;
    request.id = 42;
    request.name = "fn-1";
    request.arguments = {"/var/runtime/bootstrap", "x y"};
    request.environment = {"A=1", "B="};
    request.working_directory = "/var/task";
    request.mounts = {
        {"code/abc", "/var/task"}, {"/usr/lib/hearth/runtimes/python", "/var/runtime"}};
    request.runtime_api_variable = "AWS_LAMBDA_RUNTIME_API";
    request.memory_mb = 128;
    request.ephemeral_storage_mb = 512;
    request.pids_max = 1024;
    request.open_files_max = 1024;
    request.egress = true;
    return request;
}

TEST(Protocol, CreateRequestSurvivesTheTrip) {
    const CreateRequest sent = Sample();
    const std::string packet = EncodeCreate(sent);
    ASSERT_TRUE(DecodeKind(packet).ok());
    const auto received = DecodeCreate(packet);
    ASSERT_TRUE(received.ok());
    EXPECT_EQ(EncodeCreate(*received), packet);
    EXPECT_EQ(received->arguments, sent.arguments);
    EXPECT_EQ(received->mounts[1].source, sent.mounts[1].source);
    EXPECT_TRUE(received->egress);
}

TEST(Protocol, AnswersSurviveTheTrip) {
    HostFacts facts;
    facts.backend = "namespaces";
    facts.cgroup_layout = "hybrid";
    facts.freezer = true;
    const auto welcome = DecodeCloudWelcome(EncodeCloudWelcome(7, facts));
    ASSERT_TRUE(welcome.ok());
    EXPECT_EQ(welcome->first, 7U);
    EXPECT_EQ(welcome->second.cgroup_layout, "hybrid");
    EXPECT_TRUE(welcome->second.freezer);
    EXPECT_TRUE(DecodeHostHello(EncodeHostHello(facts)).ok());
    CreateAnswer answer;
    answer.id = 9;
    answer.error = "no";
    const auto created = DecodeCreated(EncodeCreated(answer));
    ASSERT_TRUE(created.ok());
    EXPECT_EQ(created->error, "no");
    EXPECT_FALSE(created->joining);
    answer.joining = true;
    answer.phases[5] = 11;
    const std::string restored = EncodeRestored(answer);
    EXPECT_EQ(DecodeKind(restored).value(), PacketKind::kRestored);
    EXPECT_TRUE(DecodeCreated(restored)->joining);
    EXPECT_EQ(DecodeCreated(restored)->phases[5], 11U);
}

TEST(Protocol, SavingSurvivesTheTrip) {
    const auto message = DecodeSave(EncodeSave({.id = 7, .ports = {40001, 40002}}));
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(message->id, 7U);
    EXPECT_EQ(message->ports, (std::vector<uint16_t>{40001, 40002}));
    const auto answer = DecodeSaved(EncodeSaved(
        {.id = 7, .error = "", .refusal = "io_uring", .image_bytes = 9, .frozen_ns = 11}));
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->refusal, "io_uring");
    EXPECT_EQ(answer->frozen_ns, 11U);
    EXPECT_FALSE(DecodeSave(EncodeSave({.id = 7, .ports = std::vector<uint16_t>(17, 1)})).ok());
}

TEST(Protocol, ACloneNeedsNothingButItsTemplate) {
    CreateRequest request = Sample();
    request.template_id = 3;
    request.connections = 1;
    EXPECT_TRUE(DecodeCreate(EncodeCreate(request)).ok());
    request.holds_template = true;
    EXPECT_FALSE(DecodeCreate(EncodeCreate(request)).ok());
}

TEST(Protocol, EveryCutAndEveryTailIsMalformed) {
    const std::string packet = EncodeCreate(Sample());
    for (size_t size = 1; size < packet.size(); ++size) {
        EXPECT_FALSE(DecodeCreate(packet.substr(0, size)).ok()) << size;
    }
    EXPECT_FALSE(DecodeCreate(packet + "x").ok());
    EXPECT_FALSE(DecodeKind("").ok());
    EXPECT_FALSE(DecodeKind("\xff").ok());
}

TEST(Protocol, WhatTheHostMustNotActOnIsRefused) {
    const auto refused = [](auto change) {
        CreateRequest request = Sample();
        change(request);
        return !DecodeCreate(EncodeCreate(request)).ok();
    };
    EXPECT_TRUE(refused([](auto& r) { r.name = "../x"; }));
    EXPECT_TRUE(refused([](auto& r) { r.name = std::string(65, 'a'); }));
    EXPECT_TRUE(refused([](auto& r) { r.arguments.clear(); }));
    EXPECT_TRUE(refused([](auto& r) { r.arguments = {std::string("a\0b", 3)}; }));
    EXPECT_TRUE(refused([](auto& r) { r.environment = {std::string("a\0b", 3)}; }));
    EXPECT_TRUE(refused([](auto& r) { r.working_directory = "x"; }));
    EXPECT_TRUE(refused([](auto& r) { r.working_directory = "/a/../b"; }));
    EXPECT_TRUE(refused([](auto& r) { r.mounts[0].target = "/etc"; }));
    EXPECT_TRUE(refused([](auto& r) { r.mounts[0].source = "code/../.."; }));
    EXPECT_TRUE(refused([](auto& r) { r.door_variable = "A=B"; }));
    EXPECT_TRUE(refused([](auto& r) { r.memory_mb = -1; }));
    EXPECT_TRUE(refused([](auto& r) { r.memory_mb = int64_t{1} << 60; }));
    EXPECT_TRUE(refused([](auto& r) { r.open_files_max = 0; }));
    EXPECT_FALSE(refused([](auto&) {}));
}

}  // namespace
}  // namespace hearth::sandbox
