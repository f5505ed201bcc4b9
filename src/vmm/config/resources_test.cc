#include "vmm/config/resources.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace hearth::vmm {
namespace {

class ResourcesTest : public testing::Test {
  protected:
    ResourcesTest() {
        std::string name = testing::TempDir() + "resources.XXXXXX";
        folder_ = ::mkdtemp(name.data());
        file_ = folder_ / "file";
        std::ofstream(file_) << "x";
    }

    ~ResourcesTest() override { std::filesystem::remove_all(folder_); }

    DriveConfig Drive(const std::string& id, bool root) const {
        DriveConfig drive;
        drive.drive_id = id;
        drive.path_on_host = file_;
        drive.is_root_device = root;
        return drive;
    }

    static std::string Message(const Status& status) {
        return status.ok() ? "" : status.error().message();
    }

    std::filesystem::path folder_;
    std::filesystem::path file_;
    Resources resources_;
};

TEST_F(ResourcesTest, VcpusAndMemoryHaveBounds) {
    EXPECT_TRUE(resources_.Set(MachineConfigUpdate{.vcpu_count = 32}).ok());
    for (const std::uint64_t count : {0, 33, 255}) {
        EXPECT_EQ(
            Message(resources_.Set(MachineConfigUpdate{.vcpu_count = count})),
            "Machine config error: The number of vCPUs must be greater than 0, less than 32 and "
            "must be 1 or an even number if SMT is enabled.");
    }
    EXPECT_TRUE(resources_.Set(MachineConfigUpdate{.vcpu_count = 3}).ok());
    EXPECT_FALSE(resources_.Set(MachineConfigUpdate{.smt = true}).ok());
    EXPECT_TRUE(resources_.Set(MachineConfigUpdate{.vcpu_count = 4, .smt = true}).ok());
    EXPECT_EQ(
        Message(resources_.Set(MachineConfigUpdate{.mem_size_mib = 0})),
        "Machine config error: The memory size (MiB) is either 0, or not a multiple of the "
        "configured page size.");
    EXPECT_EQ(resources_.config().machine.mem_size_mib, kDefaultMemoryMib);
}

TEST_F(ResourcesTest, BalloonAndMemoryBelongTogether) {
    EXPECT_EQ(
        Message(resources_.Set(BalloonConfig{.amount_mib = 129})),
        "Balloon config error: Amount of pages requested is too large.");
    EXPECT_TRUE(resources_.Set(BalloonConfig{.amount_mib = 128}).ok());
    EXPECT_EQ(
        Message(resources_.Set(MachineConfigUpdate{.mem_size_mib = 64})),
        "Machine config error: The memory size (MiB) is smaller than the previously set balloon "
        "device target size.");
}

TEST_F(ResourcesTest, TheRootDriveIsOneAndFirst) {
    EXPECT_TRUE(resources_.Set(Drive("a", false)).ok());
    EXPECT_TRUE(resources_.Set(Drive("root", true)).ok());
    EXPECT_EQ(resources_.config().drives[0].drive_id, "root");
    EXPECT_EQ(
        Message(resources_.Set(Drive("a", true))),
        "Drive config error: A root block device already exists!");
    // An update of a drive keeps its place.
    EXPECT_TRUE(resources_.Set(Drive("a", false)).ok());
    EXPECT_EQ(resources_.config().drives.size(), 2U);
    auto missing = Drive("b", false);
    missing.path_on_host = folder_ / "none";
    EXPECT_EQ(
        Message(resources_.Set(missing)),
        "Drive config error: Unable to create the virtio block device: Virtio backend error: "
        "Error manipulating the backing file: No such file or directory (os error 2) " +
            missing.path_on_host);
    EXPECT_EQ(resources_.config().drives.size(), 2U);
}

TEST_F(ResourcesTest, KernelMustOpenAndItsArgumentsBePlain) {
    EXPECT_EQ(
        Message(resources_.Set(
            BootSourceConfig{.kernel_image_path = "/none", .initrd_path = {}, .boot_args = {}})),
        "Boot source error: The kernel file cannot be opened: No such file or directory (os error "
        "2)");
    EXPECT_FALSE(resources_.config().boot_source);
    EXPECT_FALSE(resources_
                     .Set(BootSourceConfig{
                         .kernel_image_path = file_, .initrd_path = {}, .boot_args = "a\nb"})
                     .ok());
    EXPECT_FALSE(
        resources_
            .Set(BootSourceConfig{
                .kernel_image_path = file_, .initrd_path = {}, .boot_args = std::string(2048, 'a')})
            .ok());
    EXPECT_TRUE(resources_
                    .Set(BootSourceConfig{
                        .kernel_image_path = file_, .initrd_path = {}, .boot_args = "a=b c"})
                    .ok());
}

TEST_F(ResourcesTest, InterfacesShareNeitherMacNorTap) {
    const MacAddress mac = {6, 0, 0, 0, 0, 1};
    const auto interface = [&](const std::string& id, const std::string& tap) {
        NetworkInterfaceConfig config;
        config.iface_id = id;
        config.host_dev_name = tap;
        config.guest_mac = mac;
        return config;
    };
    EXPECT_TRUE(resources_.Set(interface("1", "tap1")).ok());
    EXPECT_EQ(
        Message(resources_.Set(interface("2", "tap2"))),
        "Network config error: The MAC address is already in use: 06:00:00:00:00:01");
    auto other = interface("2", "tap1");
    other.guest_mac.reset();
    EXPECT_TRUE(Message(resources_.Set(other)).contains("Could not create the network device"));
    EXPECT_TRUE(resources_.Set(interface("1", "tap3")).ok());
    EXPECT_EQ(resources_.config().network_interfaces.size(), 1U);
}

TEST_F(ResourcesTest, MmdsNeedsAnInterfaceThatIsThere) {
    EXPECT_TRUE(Message(resources_.Set(MmdsConfig{.network_interfaces = {}, .ipv4_address = {}}))
                    .contains("is empty"));
    EXPECT_TRUE(Message(resources_.Set(MmdsConfig{.network_interfaces = {"1"}, .ipv4_address = {}}))
                    .contains("does not correspond"));
    NetworkInterfaceConfig interface;
    interface.iface_id = "1";
    interface.host_dev_name = "tap1";
    ASSERT_TRUE(resources_.Set(interface).ok());
    EXPECT_EQ(
        Message(resources_.Set(
            MmdsConfig{.network_interfaces = {"1"}, .ipv4_address = Ipv4Address{10, 0, 0, 1}})),
        "MMDS config error: The MMDS IPv4 address is not link local.");
    EXPECT_TRUE(resources_
                    .Set(MmdsConfig{
                        .network_interfaces = {"1"}, .ipv4_address = Ipv4Address{169, 254, 1, 0}})
                    .ok());
}

}  // namespace
}  // namespace hearth::vmm
