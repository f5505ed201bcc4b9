#include "vmm/api/fake_machine.h"
#include "vmm/api/microvm_controller.h"
#include "vmm/api/routes.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace hearth::vmm {
namespace {

constexpr std::string_view kAfter =
    "The requested operation is not supported after starting the microVM.";
constexpr std::string_view kBefore =
    "The requested operation is not supported before starting the microVM.";

class ApiTest : public testing::Test {
  protected:
    ApiTest()
        : controller_(
              InstanceOptions{.id = "me", .version = "1.0", .mmds_bytes_max = 1'000},
              [this](const VmConfig&) -> Result<std::unique_ptr<RunningMachine>> {
                  if (start_error_) {
                      return *start_error_;
                  }
                  return std::unique_ptr<RunningMachine>(std::make_unique<FakeMachine>(log_));
              }) {
        std::string name = testing::TempDir() + "api.XXXXXX";
        folder_ = ::mkdtemp(name.data());
        file_ = folder_ / "file";
        std::ofstream(file_) << "x";
    }

    ~ApiTest() override { std::filesystem::remove_all(folder_); }

    struct Answer {
        int status;
        std::string text;  // the body, or the fault's message
    };

    // One request through routes and controller, as the server does it.
    Answer Ask(std::string_view method, std::string_view path, std::string body = "") {
        HttpRequest request;
        request.method = method;
        request.path = path;
        request.has_body = !body.empty();
        request.body = std::move(body);
        auto parsed = ParseApiRequest(request);
        if (!parsed.ok()) {
            return {parsed.error().http_status(), parsed.error().message()};
        }
        auto reply = controller_.Do(parsed->action);
        if (!reply.ok()) {
            return {reply.error().http_status(), reply.error().message()};
        }
        return {*reply ? 200 : 204, reply->value_or("")};
    }

    std::string Path() const { return file_.string(); }

    std::string BootSource() const { return R"({"kernel_image_path":")" + Path() + "\"}"; }

    std::string Drive() const {
        return R"({"drive_id":"d","is_root_device":true,"path_on_host":")" + Path() + "\"}";
    }

    void Start() {
        ASSERT_EQ(Ask("PUT", "/boot-source", BootSource()).status, 204);
        ASSERT_EQ(Ask("PUT", "/actions", R"({"action_type":"InstanceStart"})").status, 204);
    }

    std::filesystem::path folder_;
    std::filesystem::path file_;
    FakeMachineLog log_;
    std::optional<Error> start_error_;
    MicrovmController controller_;
};

// Every path and verb of Firecracker's public description, with a good body: what happens before
// the start, what after it.
TEST_F(ApiTest, EveryPathAndVerbIsAnswered) {
    enum Want { kOk, kEmpty, kPre, kPost, kUnsupported, kFault };

    struct Row {
        const char* method;
        const char* path;
        std::string body;
        Want before;
        Want after;
    };

    const std::string interface = R"({"iface_id":"n","host_dev_name":"tap0"})";
    const std::vector<Row> rows = {
        {"GET", "/", "", kOk, kOk},
        {"GET", "/version", "", kOk, kOk},
        {"GET", "/machine-config", "", kOk, kOk},
        {"PUT", "/machine-config", R"({"vcpu_count":2,"mem_size_mib":256})", kEmpty, kPost},
        {"PATCH", "/machine-config", R"({"vcpu_count":1})", kEmpty, kPost},
        {"PUT", "/boot-source", BootSource(), kEmpty, kPost},
        {"PUT", "/drives/d", Drive(), kEmpty, kPost},
        {"PATCH", "/drives/d", R"({"drive_id":"d","path_on_host":"x"})", kPre, kEmpty},
        {"PUT", "/network-interfaces/n", interface, kEmpty, kPost},
        {"PATCH", "/network-interfaces/n", R"({"iface_id":"n"})", kPre, kEmpty},
        {"PUT",
         "/balloon",
         R"({"amount_mib":1,"deflate_on_oom":true,"stats_polling_interval_s":1})",
         kEmpty,
         kPost},
        {"GET", "/balloon", "", kOk, kOk},
        {"PATCH", "/balloon", R"({"amount_mib":2})", kPre, kEmpty},
        {"GET", "/balloon/statistics", "", kPre, kOk},
        {"PATCH", "/balloon/statistics", R"({"stats_polling_interval_s":2})", kPre, kEmpty},
        {"PATCH", "/balloon/hinting/start", "", kUnsupported, kUnsupported},
        {"PATCH",
         "/balloon/hinting/start",
         R"({"acknowledge_on_stop":true})",
         kUnsupported,
         kUnsupported},
        {"PATCH", "/balloon/hinting/stop", "", kUnsupported, kUnsupported},
        {"GET", "/balloon/hinting/status", "", kUnsupported, kUnsupported},
        {"PUT", "/vsock", R"({"guest_cid":3,"uds_path":"v.sock"})", kEmpty, kPost},
        {"PUT", "/entropy", R"({"rate_limiter":null})", kEmpty, kPost},
        {"PUT", "/serial", R"({"serial_out_path":"out"})", kEmpty, kPost},
        {"PUT", "/mmds/config", R"({"network_interfaces":["n"]})", kEmpty, kPost},
        {"PUT", "/mmds", R"({"a":"b"})", kEmpty, kEmpty},
        {"PATCH", "/mmds", R"({"c":"d"})", kEmpty, kEmpty},
        {"GET", "/mmds", "", kOk, kOk},
        {"PUT", "/logger", R"({"level":"Error"})", kEmpty, kPost},
        {"PUT", "/metrics", R"({"metrics_path":")" + Path() + ".metrics\"}", kEmpty, kPost},
        {"PATCH", "/vm", R"({"state":"Paused"})", kPre, kEmpty},
        {"PATCH", "/vm", R"({"state":"Resumed"})", kPre, kEmpty},
        {"GET", "/vm/config", "", kOk, kOk},
        {"PUT", "/actions", R"({"action_type":"FlushMetrics"})", kPre, kEmpty},
        {"PUT", "/actions", R"({"action_type":"SendCtrlAltDel"})", kPre, kEmpty},
        {"PUT", "/cpu-config", "{}", kUnsupported, kUnsupported},
        {"PUT", "/pmem/p", R"({"id":"p","path_on_host":"x"})", kUnsupported, kUnsupported},
        {"PATCH", "/pmem/p", R"({"id":"p"})", kUnsupported, kUnsupported},
        {"PUT", "/hotplug/memory", R"({"total_size_mib":128})", kUnsupported, kUnsupported},
        {"PATCH", "/hotplug/memory", R"({"requested_size_mib":1})", kUnsupported, kUnsupported},
        {"GET", "/hotplug/memory", "", kUnsupported, kUnsupported},
        {"PUT",
         "/snapshot/create",
         R"({"snapshot_path":"a","mem_file_path":"b"})",
         kUnsupported,
         kUnsupported},
        {"PUT",
         "/snapshot/load",
         R"({"snapshot_path":"a","mem_file_path":"b"})",
         kUnsupported,
         kUnsupported},
        // What there is no verb for.
        {"GET", "/actions", "", kFault, kFault},
        {"GET", "/drives/d", "", kFault, kFault},
        {"PATCH", "/boot-source", "{}", kFault, kFault},
        {"PATCH", "/version", "{}", kFault, kFault},
        {"PUT", "/version", "{}", kFault, kFault},
        {"PUT", "/vm", "{}", kFault, kFault},
        {"GET", "/vm", "", kFault, kFault},
        {"PUT", "/snapshot/x", "{}", kFault, kFault},
        {"GET", "/nowhere", "", kFault, kFault},
    };
    const auto check = [&](const Row& row, Want want) {
        const auto answer = Ask(row.method, row.path, row.body);
        const std::string where = std::string(row.method) + " " + row.path + ": " + answer.text;
        switch (want) {
            case kOk:
                EXPECT_EQ(answer.status, 200) << where;
                EXPECT_TRUE(codec::ParseJson(answer.text).ok()) << where;
                break;
            case kEmpty:
                EXPECT_EQ(answer.status, 204) << where;
                break;
            case kPre:
                EXPECT_EQ(answer.status, 400) << where;
                EXPECT_EQ(answer.text, kBefore) << where;
                break;
            case kPost:
                EXPECT_EQ(answer.status, 400) << where;
                EXPECT_EQ(answer.text, kAfter) << where;
                break;
            case kUnsupported:
                EXPECT_EQ(answer.status, 400) << where;
                EXPECT_TRUE(answer.text.starts_with("The requested operation is not supported: "))
                    << where;
                break;
            case kFault:
                EXPECT_EQ(answer.status, 400) << where;
                EXPECT_TRUE(answer.text.starts_with("Invalid request method and/or path: "))
                    << where;
                break;
        }
    };
    for (const auto& row : rows) {
        // A balloon is asked for before there is one, too.
        if (std::string_view(row.path) == "/balloon" && std::string_view(row.method) == "PUT") {
            EXPECT_EQ(
                Ask("GET", "/balloon").text, "Balloon config error: No balloon device found.");
        }
        check(row, row.before);
    }
    ASSERT_EQ(Ask("PUT", "/actions", R"({"action_type":"InstanceStart"})").status, 204);
    EXPECT_EQ(Ask("PUT", "/actions", R"({"action_type":"InstanceStart"})").text, kAfter);
    for (const auto& row : rows) {
        check(row, row.after);
    }
    EXPECT_EQ(
        log_.told,
        (std::vector<std::string>{
            "drive d",
            "interface n",
            "balloon 2",
            "statistics 2",
            "pause",
            "resume",
            "ctrl-alt-del"}));
    // What was changed at run time is what the configuration says.
    const auto config = codec::ParseJson(Ask("GET", "/vm/config").text).value();
    EXPECT_EQ(*(*config.Find("drives")->AsArray())[0].FindString("path_on_host"), "x");
    EXPECT_EQ(*config.Find("balloon")->Find("amount_mib")->AsInt(), 2);
    EXPECT_EQ(*config.Find("machine-config")->Find("vcpu_count")->AsInt(), 1);
}

TEST_F(ApiTest, BodiesAndIdsAreChecked) {
    EXPECT_EQ(Ask("PUT", "/drives", "{}").text, "The ID cannot be empty.");
    EXPECT_EQ(Ask("PUT", "/drives/", "{}").text, "The ID cannot be empty.");
    EXPECT_EQ(
        Ask("PUT", "/drives/a-b", "{}").text,
        "API Resource IDs can only contain alphanumeric characters and underscores.");
    EXPECT_EQ(
        Ask("PUT", "/drives/e", Drive()).text,
        "The id from the path does not match the id from the body!");
    EXPECT_EQ(
        Ask("PUT", "/network-interfaces/m", R"({"iface_id":"n","host_dev_name":"t"})").text,
        "The id from the path [m] does not match the id from the body [n]!");
    EXPECT_EQ(Ask("PUT", "/drives/d").text, "Empty PUT request.");
    EXPECT_EQ(Ask("PATCH", "/drives/d").text, "Empty PATCH request.");
    EXPECT_EQ(Ask("GET", "/mmds", "{}").text, "GET request cannot have a body.");
    EXPECT_EQ(Ask("PUT", "/snapshot", "{}").text, "Missing snapshot operation type.");
    EXPECT_EQ(Ask("PUT", "/mmds/x", "{}").text, "Unrecognized PUT request path `x`.");
    EXPECT_EQ(Ask("GET", "/balloon/x").text, "Unrecognized GET request path `x`.");
    EXPECT_EQ(Ask("GET", "/nowhere").text, "Invalid request method and/or path: GET nowhere.");
    EXPECT_TRUE(
        Ask("PUT", "/vsock", "{")
            .text.starts_with("An error occurred when deserializing the json body of a request: "));
    EXPECT_EQ(
        Ask("PUT", "/actions", R"({"action_type":"Explode"})").text,
        "An error occurred when deserializing the json body of a request: unknown variant "
        "`Explode`, expected one of `FlushMetrics`, `InstanceStart`, `SendCtrlAltDel`.");
}

TEST_F(ApiTest, StartsOnlyWhatHasAKernelAndMayBeTriedAgain) {
    const std::string start = R"({"action_type":"InstanceStart"})";
    EXPECT_EQ(
        Ask("PUT", "/actions", start).text,
        "Start microvm error: Cannot start microvm without kernel configuration.");
    ASSERT_EQ(Ask("PUT", "/boot-source", BootSource()).status, 204);
    start_error_ = errors::Malformed("no KVM");
    EXPECT_EQ(Ask("PUT", "/actions", start).text, "Start microvm error: no KVM");
    EXPECT_EQ(*codec::ParseJson(Ask("GET", "/").text)->FindString("state"), "Not started");
    start_error_.reset();
    EXPECT_EQ(Ask("PUT", "/actions", start).status, 204);
    EXPECT_EQ(*codec::ParseJson(Ask("GET", "/").text)->FindString("state"), "Running");
    Ask("PATCH", "/vm", R"({"state":"Paused"})");
    EXPECT_EQ(
        Ask("GET", "/").text,
        R"({"id":"me","state":"Paused","vmm_version":"1.0","app_name":"hearth-vmm"})");
}

TEST_F(ApiTest, DeviceErrorsAreToldInTheirPlace) {
    ASSERT_EQ(Ask("PUT", "/drives/d", Drive()).status, 204);
    Start();
    EXPECT_TRUE(Ask("PATCH", "/drives/e", R"({"drive_id":"e","path_on_host":"x"})")
                    .text.starts_with("Drive config error: Unable to patch the block device: "));
    EXPECT_TRUE(Ask("PATCH", "/drives/d", R"({"drive_id":"d"})")
                    .text.ends_with("Please verify the request arguments."));
    log_.fail_with = errors::Malformed("it broke");
    EXPECT_EQ(
        Ask("PATCH", "/drives/d", R"({"drive_id":"d","path_on_host":"x"})").text,
        "Drive config error: Unable to patch the block device: it broke. Please verify the "
        "request arguments.");
    EXPECT_EQ(Ask("PATCH", "/vm", R"({"state":"Paused"})").text, "Internal VMM error: it broke");
    EXPECT_EQ(*codec::ParseJson(Ask("GET", "/").text)->FindString("state"), "Running");
    EXPECT_EQ(
        Ask("PATCH", "/balloon", R"({"amount_mib":1})").text,
        "Balloon update error: No balloon device found.");
}

TEST_F(ApiTest, BalloonStatisticsStayOnOrOff) {
    ASSERT_EQ(Ask("PUT", "/balloon", R"({"amount_mib":1,"deflate_on_oom":true})").status, 204);
    Start();
    EXPECT_EQ(
        Ask("GET", "/balloon/statistics").text,
        "Balloon config error: Statistics for the balloon device are not enabled");
    EXPECT_EQ(
        Ask("PATCH", "/balloon/statistics", R"({"stats_polling_interval_s":1})").text,
        "Balloon update error: Cannot enable/disable the statistics after boot.");
    EXPECT_EQ(
        Ask("PATCH", "/balloon", R"({"amount_mib":129})").text,
        "Balloon update error: Amount of pages requested is too large.");
}

TEST_F(ApiTest, MetadataHasALimit) {
    EXPECT_EQ(Ask("GET", "/mmds").text, "{}");
    EXPECT_EQ(
        Ask("PATCH", "/mmds", "{}").text, "MMDS error: The MMDS data store is not initialized.");
    const auto answer = Ask("PUT", "/mmds", "\"" + std::string(1'000, 'x') + "\"");
    EXPECT_EQ(answer.status, 413);
    EXPECT_EQ(answer.text, "MMDS limit exceeded error: The MMDS patch request doesn't fit.");
}

TEST_F(ApiTest, DeprecatedFieldsAreNamed) {
    HttpRequest request;
    request.method = "PUT";
    request.path = "/machine-config";
    request.has_body = true;
    request.body = R"({"vcpu_count":2,"mem_size_mib":256,"cpu_template":"None"})";
    EXPECT_EQ(
        ParseApiRequest(request)->deprecation,
        "PUT /machine-config: cpu_template field is deprecated.");
    request.path = "/mmds/config";
    request.body = R"({"network_interfaces":["n"]})";
    EXPECT_EQ(
        ParseApiRequest(request)->deprecation,
        "PUT /mmds/config: V1 is deprecated. Use V2 instead.");
    request.body = R"({"network_interfaces":["n"],"version":"V2"})";
    EXPECT_EQ(ParseApiRequest(request)->deprecation, "");
}

TEST_F(ApiTest, AConfigurationFileIsTheSameInOneText) {
    const auto text = R"({"boot-source":)" + BootSource() + R"(,"drives":[)" + Drive() +
                      R"(],"machine-config":{"vcpu_count":2,"mem_size_mib":64},"pmem":[],)"
                      R"("network-interfaces":[{"iface_id":"n","host_dev_name":"tap0"}],)"
                      R"("mmds-config":{"network_interfaces":["n"],"version":"V2"},"vsock":null})";
    const auto status = ConfigureFromFile(controller_, text);
    ASSERT_TRUE(status.ok()) << status.error().message();
    EXPECT_TRUE(controller_.started());
    EXPECT_EQ(controller_.config().machine.vcpu_count, 2U);
    EXPECT_EQ(controller_.mmds()->config.version, MmdsVersion::kV2);
}

TEST_F(ApiTest, AConfigurationFileHidesNothing) {
    const auto message = [&](std::string_view text) {
        const auto status = ConfigureFromFile(controller_, text);
        return status.ok() ? "" : status.error().message();
    };
    EXPECT_TRUE(message("{").starts_with("Invalid JSON: "));
    EXPECT_TRUE(message(R"({"boot_source":{}})").contains("unknown field `boot_source`"));
    EXPECT_TRUE(message(R"({"cpu-config":"f"})").contains("not supported"));
    EXPECT_TRUE(message(R"({"pmem":[{"id":"p"}]})").contains("not supported"));
    EXPECT_EQ(
        message("{}"), "Start microvm error: Cannot start microvm without kernel configuration.");
    EXPECT_FALSE(controller_.started());
}

}  // namespace
}  // namespace hearth::vmm
