#include "codec/crypto/crypto.h"

#include "codec/crypto/master_key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace hearth::codec {
namespace {

class TemporaryDirectory final {
  public:
    TemporaryDirectory() {
        char name[] = "/tmp/hearth-crypto-XXXXXX";
        path_ = ::mkdtemp(name);
    }

    ~TemporaryDirectory() { std::filesystem::remove_all(path_); }

    std::string File(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

// FIPS 180-2, appendix B.
TEST(Sha256, KnownAnswers) {
    EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(Sha256Base64("abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    Sha256Stream stream;
    stream.Update("a");
    stream.Update("bc");
    EXPECT_EQ(Hex(stream.Finish()), Sha256Hex("abc"));
}

// RFC 4231, cases 2 and 6 (a key longer than the block).
TEST(HmacSha256, KnownAnswers) {
    EXPECT_EQ(
        Hex(HmacSha256("Jefe", "what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(
        Hex(HmacSha256(
            std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(EqualInConstantTime, ComparesWholeTexts) {
    EXPECT_TRUE(EqualInConstantTime("abc", "abc"));
    EXPECT_FALSE(EqualInConstantTime("abc", "abd"));
    EXPECT_FALSE(EqualInConstantTime("abc", "ab"));
}

TEST(SealingKey, OpensOnlyWhatItSealedForThatContext) {
    const MasterKey master({1, 2, 3});
    const SealingKey key = master.Derive("test");
    const std::string sealed = key.Seal("secret", "here");
    ASSERT_TRUE(key.Open(sealed, "here").ok());
    EXPECT_EQ(*key.Open(sealed, "here"), "secret");
    EXPECT_FALSE(key.Open(sealed, "there").ok());
    EXPECT_FALSE(master.Derive("other").Open(sealed, "here").ok());
    EXPECT_NE(sealed, key.Seal("secret", "here"));
    for (size_t i = 0; i < sealed.size(); ++i) {
        std::string changed = sealed;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        EXPECT_FALSE(key.Open(changed, "here").ok()) << "byte " << i;
        EXPECT_FALSE(key.Open(sealed.substr(0, i), "here").ok()) << "cut at " << i;
    }
    const std::string nothing = key.Seal("", "");
    ASSERT_TRUE(key.Open(nothing, "").ok());
    EXPECT_EQ(*key.Open(nothing, ""), "");
}

TEST(MasterKey, IsMadeOnceAndPrivate) {
    const TemporaryDirectory directory;
    const std::string path = directory.File("master.key");
    auto first = MasterKey::LoadOrMake(path);
    ASSERT_TRUE(first.ok()) << first.error().message();
    struct stat info{};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    auto second = MasterKey::LoadOrMake(path);
    ASSERT_TRUE(second.ok());
    const std::string sealed = first->Derive("a").Seal("x", "");
    EXPECT_TRUE(second->Derive("a").Open(sealed, "").ok());
}

TEST(MasterKey, RefusesWhatIsNoKey) {
    const TemporaryDirectory directory;
    const std::string path = directory.File("master.key");
    std::ofstream(path) << "not a key\n";
    EXPECT_FALSE(MasterKey::LoadOrMake(path).ok());
    std::filesystem::remove(path);
    std::filesystem::create_symlink("/dev/null", path);
    EXPECT_FALSE(MasterKey::LoadOrMake(path).ok());
}

}  // namespace
}  // namespace hearth::codec
