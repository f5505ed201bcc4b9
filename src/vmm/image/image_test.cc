#include "vmm/image/build_image.h"
#include "vmm/image/initramfs.h"
#include "vmm/image/kernel_modules.h"
#include "vmm/image/manifest.h"
#include "vmm/image/packages.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace hearth::vmm {
namespace {

namespace fs = std::filesystem;

class TemporaryDirectory final {
  public:
    TemporaryDirectory() {
        std::string name = fs::temp_directory_path() / "image_test.XXXXXX";
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        path = name;
    }

    ~TemporaryDirectory() { fs::remove_all(path); }

    std::string path;
};

void Put(const std::string& path, const std::string& bytes) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
}

// A module's bytes, as far as its needs are concerned.
std::string Module(const std::string& depends) {
    using namespace std::string_literals;
    return "\x7f"s + "ELF stuff\0license=GPL\0depends="s + depends + "\0name=x\0"s;
}

TEST(Initramfs, IsAlignedAndHasItsEnd) {
    Initramfs initramfs;
    initramfs.AddDirectory("dev");
    initramfs.AddFile("a", "hello", 0755);
    initramfs.AddLink("b", "a");
    const std::string bytes = std::move(initramfs).Finish();
    EXPECT_EQ(bytes.size() % 4, 0U);
    EXPECT_TRUE(bytes.starts_with("070701"));
    EXPECT_NE(bytes.find("TRAILER!!!"), std::string::npos);
    // Mode and size of the file: the second entry, after one of 110 + 4 bytes, padded to 116.
    EXPECT_EQ(bytes.substr(116, 6), "070701");
    EXPECT_EQ(bytes.substr(116 + 14, 8), "000081ED");
    EXPECT_EQ(bytes.substr(116 + 54, 8), "00000005");
    EXPECT_EQ(bytes.substr(116 + 112, 5), "hello");
}

TEST(KernelModules, ComeAfterWhatTheyNeed) {
    const TemporaryDirectory directory;
    const std::string base = directory.path + "/kernel/";
    Put(base + "drivers/virtio-blk.ko", Module("virtio,virtio_ring"));
    Put(base + "drivers/virtio.ko", Module(""));
    Put(base + "drivers/virtio_ring.ko", Module("virtio"));
    Put(base + "other.ko", Module(""));
    const auto modules = SelectModules(directory.path, {"virtio_blk", "built_in", "virtio"});
    ASSERT_TRUE(modules.ok()) << modules.error().message();
    std::vector<std::string> names;
    for (const KernelModule& module : *modules) {
        names.push_back(module.name);
    }
    EXPECT_EQ(names, (std::vector<std::string>{"virtio", "virtio_ring", "virtio_blk"}));
}

TEST(Packages, NamesAndVersionsAreInTheFilesName) {
    EXPECT_EQ(
        PackageOf("/x/busybox-static_1%3a1.35.0-4+b1_amd64.deb"),
        (ImagePackage{"busybox-static", "1:1.35.0-4+b1"}));
    EXPECT_EQ(PackageOf("plain"), (ImagePackage{"plain", ""}));
}

ImageManifest Image(const std::string& directory) {
    Put(directory + "/kernel", "kernel's bytes");
    Put(directory + "/initrd", "initrd's bytes");
    ImageManifest manifest;
    manifest.name = "a";
    manifest.kernel_package = "linux-image 1";
    manifest.files = {*DescribeFile(directory, "kernel"), *DescribeFile(directory, "initrd")};
    manifest.packages = {{"busybox", "1"}};
    Put(directory + "/manifest.json", WriteManifest(manifest));
    return manifest;
}

TEST(Manifest, AWholeImageIsVerified) {
    const TemporaryDirectory directory;
    const ImageManifest manifest = Image(directory.path);
    const auto verified = VerifyImage(directory.path);
    ASSERT_TRUE(verified.ok()) << verified.error().message();
    EXPECT_EQ(*verified, manifest);
}

TEST(Manifest, ChangedFilesAreRefusedByName) {
    const TemporaryDirectory directory;
    (void)Image(directory.path);
    Put(directory.path + "/initrd", "initrd's bytez");
    const auto verified = VerifyImage(directory.path);
    ASSERT_FALSE(verified.ok());
    EXPECT_NE(verified.error().message().find("initrd is not what was built"), std::string::npos);
    fs::remove(directory.path + "/initrd");
    EXPECT_FALSE(VerifyImage(directory.path).ok());
    fs::create_symlink("kernel", directory.path + "/initrd");
    EXPECT_FALSE(VerifyImage(directory.path).ok());
    fs::remove(directory.path + "/manifest.json");
    EXPECT_FALSE(VerifyImage(directory.path).ok());
}

TEST(Manifest, NoFileMayLeadElsewhere) {
    const TemporaryDirectory directory;
    ImageManifest manifest = Image(directory.path);
    manifest.files[1].name = "../../etc/passwd";
    EXPECT_FALSE(ParseManifest(WriteManifest(manifest)).ok());
    manifest.files[1].name = "kernel";
    EXPECT_FALSE(ParseManifest(WriteManifest(manifest)).ok());
    manifest.files.pop_back();
    EXPECT_FALSE(ParseManifest(WriteManifest(manifest)).ok());
    EXPECT_FALSE(ParseManifest("{}").ok());
    EXPECT_FALSE(ParseManifest("").ok());
}

// Every step that needs neither network nor a real kernel.
TEST(BuildImage, AMinimalImageIsMadeReplacedAndTheSameEachTime) {
    if (!fs::exists("/bin/busybox")) {
        GTEST_SKIP() << "SKIPPED: a minimal image needs busybox";
    }
    const TemporaryDirectory directory;
    const std::string kernel = directory.path + "/linux-image-x_1_amd64";
    Put(kernel + "/boot/vmlinuz-6.1", "a kernel");
    Put(kernel + "/lib/modules/6.1/kernel/virtio_mmio.ko", Module(""));
    Put(directory.path + "/init", "an init");
    BuildImageOptions options;
    options.images_directory = directory.path + "/images";
    options.cache_directory = directory.path + "/cache";
    options.init_program = directory.path + "/init";
    options.kernel = kernel;
    std::vector<std::string> steps;
    const auto progress = [&steps](std::string_view step) { steps.emplace_back(step); };
    const auto first = BuildImage(options, progress);
    ASSERT_TRUE(first.ok()) << first.error().message();
    EXPECT_FALSE(steps.empty());
    EXPECT_EQ(first->kernel_package, "linux-image-x 1");
    const auto second = BuildImage(options, progress);
    ASSERT_TRUE(second.ok()) << second.error().message();
    EXPECT_EQ(*first, *second);
    const auto verified = VerifyImage(options.images_directory + "/minimal");
    ASSERT_TRUE(verified.ok()) << verified.error().message();
    // Nothing is left of the making.
    EXPECT_EQ(
        std::distance(fs::directory_iterator(options.images_directory), fs::directory_iterator()),
        1);
}

TEST(BuildImage, NamesAreChecked) {
    EXPECT_TRUE(IsImageName("debian-12.python"));
    for (const char* name : {"", ".", "..", "a/b", "-x", ".hidden", "a b"}) {
        EXPECT_FALSE(IsImageName(name)) << name;
    }
    BuildImageOptions options;
    options.packages = {"-o=Evil"};
    EXPECT_FALSE(BuildImage(options, [](std::string_view) {}).ok());
}

}  // namespace
}  // namespace hearth::vmm
