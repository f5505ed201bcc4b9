#include "hearth/keeper/options.h"

#include <gtest/gtest.h>

namespace hearth::keeper {
namespace {

UpOptions On(const std::string& address) {
    UpOptions options;
    options.bind = address;
    options.data = "/data";
    return options;
}

TEST(UpOptions, LoopbackIsOpenAndPlainByDefault) {
    for (const char* address : {"127.0.0.1", "127.8.9.1", "::1", "localhost"}) {
        const auto checked = CheckUpOptions(On(address));
        ASSERT_TRUE(checked.ok()) << checked.error().message();
        EXPECT_EQ(checked->auth, "open");
        EXPECT_EQ(checked->tls, "off");
        EXPECT_EQ(checked->egress, "on");
    }
}

TEST(UpOptions, AnAddressReachableFromOutsideNeedsTlsAndSignatures) {
    for (const char* address : {"0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "::ffff:127.0.0.1"}) {
        EXPECT_FALSE(CheckUpOptions(On(address)).ok()) << address;
        UpOptions open = On(address);
        open.tls = "self";
        open.auth = "open";
        EXPECT_FALSE(CheckUpOptions(open).ok()) << address;
        UpOptions guarded = On(address);
        guarded.tls = "self";
        const auto checked = CheckUpOptions(guarded);
        ASSERT_TRUE(checked.ok()) << address;
        EXPECT_EQ(checked->auth, "enforce");
        EXPECT_EQ(checked->egress, "off");
    }
}

TEST(UpOptions, TlsMayBeLeftToSomethingInFrontWhenSaidSo) {
    UpOptions options = On("192.0.2.1");
    options.tls = "off";
    const auto checked = CheckUpOptions(options);
    ASSERT_TRUE(checked.ok());
    EXPECT_EQ(checked->auth, "enforce");
}

TEST(UpOptions, InsecureOpenIsForContainers) {
    UpOptions options = On("0.0.0.0");
    options.insecure_open = true;
    const auto checked = CheckUpOptions(options);
    ASSERT_TRUE(checked.ok());
    EXPECT_EQ(checked->auth, "open");
    EXPECT_EQ(checked->tls, "off");
}

TEST(UpOptions, CertificateFilesMeanTls) {
    UpOptions options = On("127.0.0.1");
    options.tls_cert = "cert.pem";
    EXPECT_FALSE(CheckUpOptions(options).ok());
    options.tls_key = "key.pem";
    ASSERT_TRUE(CheckUpOptions(options).ok());
    EXPECT_EQ(CheckUpOptions(options)->tls, "files");
    options.tls = "self";
    EXPECT_FALSE(CheckUpOptions(options).ok());
}

TEST(UpOptions, NamesOfHostsAreNoAddresses) {
    for (const char* address : {"", "example.org", "127.0.0.1:4566", "127.1", "256.0.0.1"}) {
        EXPECT_FALSE(CheckUpOptions(On(address)).ok()) << address;
    }
}

TEST(UpOptions, RuntimesAreNameAndPath) {
    for (const char* runtime : {"python3.13", "=x", "python3.13="}) {
        UpOptions options = On("127.0.0.1");
        options.runtime = {runtime};
        EXPECT_FALSE(CheckUpOptions(options).ok()) << runtime;
    }
}

}  // namespace
}  // namespace hearth::keeper
