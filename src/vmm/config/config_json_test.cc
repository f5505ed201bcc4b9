#include "vmm/config/config_json.h"

#include "vmm/config/json_reader.h"

#include <gtest/gtest.h>

namespace hearth::vmm {
namespace {

constexpr std::string_view kBody =
    "An error occurred when deserializing the json body of a request: ";

codec::Json Json(std::string_view text) {
    return codec::ParseJson(text).value();
}

template <class T>
std::string Message(const Result<T>& result) {
    return result.ok() ? "" : result.error().message();
}

std::string Body(std::string_view why) {
    return std::string(kBody) + std::string(why) + ".";
}

TEST(ConfigJson, MachineConfigTakesDefaultsForWhatIsLeftOut) {
    const auto update = ParseMachineConfig(Json(R"({"vcpu_count":2,"mem_size_mib":256})"), true);
    ASSERT_TRUE(update.ok());
    EXPECT_EQ(update->vcpu_count, 2U);
    EXPECT_EQ(update->mem_size_mib, 256U);
    EXPECT_EQ(update->smt, false);
    EXPECT_EQ(update->huge_pages, HugePages::kNone);
}

TEST(ConfigJson, PatchedMachineConfigLeavesOutWhatIsNotThere) {
    const auto update = ParseMachineConfig(Json(R"({"smt":true})"), false);
    ASSERT_TRUE(update.ok());
    EXPECT_EQ(update->smt, true);
    EXPECT_FALSE(update->vcpu_count);
    EXPECT_EQ(Message(ParseMachineConfig(Json("{}"), false)), "Empty PATCH request.");
}

TEST(ConfigJson, FaultsHaveTheWordsThatClientsKnow) {
    EXPECT_EQ(
        Message(ParseMachineConfig(Json(R"({"mem_size_mib":128})"), true)),
        Body("missing field `vcpu_count`"));
    EXPECT_EQ(
        Message(ParseMachineConfig(Json(R"({"vcpu_count":"-2","mem_size_mib":1})"), true)),
        Body("invalid type: string \"-2\", expected u8"));
    EXPECT_EQ(
        Message(ParseMachineConfig(Json(R"({"vcpu_count":-2,"mem_size_mib":1})"), true)),
        Body("invalid value: integer `-2`, expected u8"));
    EXPECT_EQ(
        Message(ParseMachineConfig(Json(R"({"vcpu_count":1.5,"mem_size_mib":1})"), true)),
        Body("invalid type: floating point `1.5`, expected u8"));
    EXPECT_EQ(
        Message(ParseMetrics(Json(R"({"metrics_path":"a","foo":1})"))),
        Body("unknown field `foo`, expected `metrics_path`"));
    EXPECT_EQ(
        Message(ParseMmdsConfig(Json(R"({"version":"foo","network_interfaces":["1"]})"))),
        Body("unknown variant `foo`, expected `V1` or `V2`"));
    EXPECT_EQ(
        Message(ParseMetrics(Json("[]"))),
        Body("invalid type: sequence, expected struct MetricsConfig"));
    // The first error of a nested object comes out bare, once.
    EXPECT_EQ(
        Message(ParseDrive(Json(R"({"drive_id":"a","is_root_device":false,"path_on_host":"f",)"
                                R"("rate_limiter":{"ops":{"size":100}}})"))),
        Body("missing field `refill_time`"));
}

TEST(ConfigJson, WhatIsNotThereIsRefusedAndNotForgotten) {
    EXPECT_TRUE(Message(ParseMachineConfig(
                            Json(R"({"vcpu_count":1,"mem_size_mib":1,"cpu_template":"T2"})"), true))
                    .contains("not supported: CPU templates"));
    EXPECT_TRUE(
        ParseMachineConfig(Json(R"({"vcpu_count":1,"mem_size_mib":1,"cpu_template":"None"})"), true)
            .ok());
    EXPECT_TRUE(Message(ParseDrive(Json(R"({"drive_id":"a","is_root_device":true,"socket":"s"})")))
                    .contains("vhost-user"));
    EXPECT_TRUE(Message(ParseBalloon(Json(
                            R"({"amount_mib":1,"deflate_on_oom":true,"free_page_hinting":true})")))
                    .contains("free page hinting"));
}

TEST(ConfigJson, DriveHasAllItsParts) {
    const auto drive = ParseDrive(
        Json(R"({"drive_id":"root","path_on_host":"/d","is_root_device":true,"is_read_only":true,)"
             R"("partuuid":"u","cache_type":"Writeback","io_engine":"Async","rate_limiter":)"
             R"({"bandwidth":{"size":1000,"one_time_burst":5,"refill_time":100},"ops":null}})"));
    ASSERT_TRUE(drive.ok()) << Message(drive);
    EXPECT_TRUE(drive->is_root_device);
    EXPECT_TRUE(drive->is_read_only);
    EXPECT_EQ(drive->cache_type, CacheType::kWriteback);
    EXPECT_EQ(drive->io_engine, IoEngine::kAsync);
    ASSERT_TRUE(drive->rate_limiter && drive->rate_limiter->bandwidth);
    EXPECT_EQ(drive->rate_limiter->bandwidth->one_time_burst, 5U);
    EXPECT_FALSE(drive->rate_limiter->ops);
}

TEST(ConfigJson, AddressesAreStrict) {
    EXPECT_EQ(WriteMac(*ParseMac("AA:FC:00:00:00:01")), "aa:fc:00:00:00:01");
    for (const auto* bad :
         {"",
          "aa:fc:00:00:00",
          "aa-fc-00-00-00-01",
          "aa:fc:00:00:00:0g",
          "aa:fc:00:00:00:01:",
          "+a:fc:00:00:00:01"}) {
        EXPECT_FALSE(ParseMac(bad)) << bad;
    }
    EXPECT_EQ(WriteIpv4(*ParseIpv4("169.254.169.254")), "169.254.169.254");
    for (const auto* bad :
         {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "1..3.4", "a.b.c.d"}) {
        EXPECT_FALSE(ParseIpv4(bad)) << bad;
    }
}

TEST(ConfigJson, LogLevelsComeInAnyCase) {
    EXPECT_EQ(ParseLogLevel("info"), LogLevel::kInfo);
    EXPECT_EQ(ParseLogLevel("Warning"), LogLevel::kWarning);
    EXPECT_EQ(ParseLogLevel("WARN"), LogLevel::kWarning);
    EXPECT_FALSE(ParseLogLevel("loud"));
}

TEST(ConfigJson, WhatIsWrittenCanBeReadAgain) {
    VmConfig config;
    config.boot_source =
        BootSourceConfig{.kernel_image_path = "/k", .initrd_path = {}, .boot_args = "a"};
    config.drives.push_back(
        DriveConfig{.drive_id = "d", .path_on_host = "/d", .partuuid = {}, .rate_limiter = {}});
    config.network_interfaces.push_back(NetworkInterfaceConfig{
        .iface_id = "n",
        .host_dev_name = "tap0",
        .guest_mac = MacAddress{1, 2, 3, 4, 5, 6},
        .mtu = 1400,
        .rx_rate_limiter = {},
        .tx_rate_limiter = {}});
    config.vsock = VsockConfig{.vsock_id = {}, .guest_cid = 3, .uds_path = "v"};
    config.mmds =
        MmdsConfig{.version = MmdsVersion::kV2, .network_interfaces = {"n"}, .ipv4_address = {}};
    const auto json = Json(WriteVmConfig(config));
    EXPECT_EQ(ParseDrive((*json.Find("drives")->AsArray())[0])->path_on_host, "/d");
    EXPECT_EQ(ParseNetworkInterface((*json.Find("network-interfaces")->AsArray())[0])->mtu, 1400);
    EXPECT_EQ(ParseVsock(*json.Find("vsock"))->guest_cid, 3U);
    EXPECT_EQ(ParseMmdsConfig(*json.Find("mmds-config"))->version, MmdsVersion::kV2);
    EXPECT_EQ(*json.Find("mmds-config")->FindString("ipv4_address"), "169.254.169.254");
    EXPECT_TRUE(json.Find("balloon")->is_null());
    EXPECT_EQ(ParseMachineConfig(*json.Find("machine-config"), true)->vcpu_count, 1U);
}

}  // namespace
}  // namespace hearth::vmm
