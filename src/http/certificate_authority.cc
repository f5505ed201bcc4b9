#include "http/certificate_authority.h"

#include "os/fd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <ctime>
#include <memory>
#include <optional>

namespace hearth::http {

namespace {

constexpr int64_t kDaySeconds = 24 * 60 * 60;
constexpr int64_t kAuthorityDays = 3650;
// A certificate signed today must not outlive its authority.
constexpr int64_t kAuthorityRenewalDays = 400;
constexpr int64_t kServerDays = 397;
constexpr int64_t kServerRenewalDays = 30;
// For clients whose clock is behind.
constexpr int64_t kBackdateSeconds = 60 * 60;
constexpr size_t kFileBytesMax = 1 << 20;

struct Free {
    void operator()(BIO* bio) const { BIO_free(bio); }

    void operator()(X509* certificate) const { X509_free(certificate); }

    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

    void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
};

using Bio = std::unique_ptr<BIO, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;

struct Identity {
    Certificate certificate;
    Key key;
};

Error OpenSslError(std::string_view what) {
    std::array<char, 256> text{};
    ERR_error_string_n(ERR_get_error(), text.data(), text.size());
    ERR_clear_error();
    return errors::Internal(fmt::format("{}: {}", what, text.data()));
}

// Nullopt when there is no such file.
Result<std::optional<std::string>> ReadFile(const std::string& path) {
    const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file.valid()) {
        if (errno == ENOENT) {
            return std::optional<std::string>();
        }
        return errors::System("cannot open " + path, errno);
    }
    std::string text;
    std::array<char, 4096> piece;
    while (text.size() <= kFileBytesMax) {
        const ssize_t count = ::read(file.get(), piece.data(), piece.size());
        if (count < 0) {
            return errors::System("cannot read " + path, errno);
        }
        if (count == 0) {
            return std::optional<std::string>(std::move(text));
        }
        text.append(piece.data(), static_cast<size_t>(count));
    }
    return errors::Malformed(path + " is too large");
}

Status SyncDirectory(const std::string& directory) {
    const os::Fd opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!opened.valid() || ::fsync(opened.get()) != 0) {
        return errors::System("cannot sync " + directory, errno);
    }
    return Status();
}

Status WriteFile(const std::string& path, std::string_view text, mode_t mode) {
    const std::string temporary = path + ".new";
    (void)::unlink(temporary.c_str());
    const os::Fd file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!file.valid()) {
        return errors::System("cannot make " + temporary, errno);
    }
    while (!text.empty()) {
        const ssize_t count = ::write(file.get(), text.data(), text.size());
        if (count < 0) {
            return errors::System("cannot write " + temporary, errno);
        }
        text.remove_prefix(static_cast<size_t>(count));
    }
    if (::fchmod(file.get(), mode) != 0 || ::fsync(file.get()) != 0 ||
        ::rename(temporary.c_str(), path.c_str()) != 0) {
        return errors::System("cannot write " + path, errno);
    }
    return Status();
}

std::string BioText(const Bio& bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, static_cast<size_t>(size));
}

std::string ToPem(const Certificate& certificate) {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), certificate.get());
    return BioText(bio);
}

std::string ToPem(const Key& key) {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return BioText(bio);
}

// Nullopt when one of the files is missing or the two do not belong together: then they are made
// anew.
Result<std::optional<Identity>> ReadIdentity(const std::string& stem) {
    HEARTH_TRY(const auto certificate_pem, ReadFile(stem + ".pem"));
    HEARTH_TRY(const auto key_pem, ReadFile(stem + ".key"));
    if (!certificate_pem.has_value() || !key_pem.has_value()) {
        return std::optional<Identity>();
    }
    const Bio certificate_bio(
        BIO_new_mem_buf(certificate_pem->data(), static_cast<int>(certificate_pem->size())));
    const Bio key_bio(BIO_new_mem_buf(key_pem->data(), static_cast<int>(key_pem->size())));
    Identity identity;
    identity.certificate.reset(PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
    identity.key.reset(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
    const bool usable = identity.certificate != nullptr && identity.key != nullptr &&
                        X509_check_private_key(identity.certificate.get(), identity.key.get()) == 1;
    ERR_clear_error();
    return usable ? std::optional<Identity>(std::move(identity)) : std::optional<Identity>();
}

bool ValidBetween(const Certificate& certificate, std::time_t from, std::time_t to) {
    std::time_t start = from;
    std::time_t end = to;
    return X509_cmp_time(X509_get0_notBefore(certificate.get()), &start) < 0 &&
           X509_cmp_time(X509_get0_notAfter(certificate.get()), &end) > 0;
}

// True: `name` is among the certificate's names as it stands. Not asked is whether a client would
// take the certificate for it, as clients differ about wildcards right below a top level.
bool Names(const Certificate& certificate, const std::string& name) {
    std::array<unsigned char, sizeof(in6_addr)> address;
    if (::inet_pton(AF_INET, name.c_str(), address.data()) == 1 ||
        ::inet_pton(AF_INET6, name.c_str(), address.data()) == 1) {
        return X509_check_ip_asc(certificate.get(), name.c_str(), 0) == 1;
    }
    const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> alternatives(
        static_cast<GENERAL_NAMES*>(
            X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)),
        GENERAL_NAMES_free);
    for (int i = 0; i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
        int type = 0;
        const void* const value =
            GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(alternatives.get(), i), &type);
        if (type == GEN_DNS) {
            const auto* const text = static_cast<const ASN1_STRING*>(value);
            const std::string_view found(
                reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                static_cast<size_t>(ASN1_STRING_length(text)));
            if (found == name) {
                return true;
            }
        }
    }
    return false;
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, Free> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool AddName(X509_NAME* name, const char* field, const std::string& text) {
    return X509_NAME_add_entry_by_txt(
               name,
               field,
               MBSTRING_UTF8,
               reinterpret_cast<const unsigned char*>(text.data()),
               static_cast<int>(text.size()),
               -1,
               0) == 1;
}

// A fresh key and a certificate for it, with everything but its purpose; not signed yet.
Result<Identity> NewIdentity(
    const std::string& common_name, std::time_t now, int64_t valid_days, const X509* issuer) {
    Identity identity;
    identity.key.reset(EVP_EC_gen("P-256"));
    identity.certificate.reset(X509_new());
    X509* const certificate = identity.certificate.get();
    if (identity.key == nullptr || certificate == nullptr) {
        return OpenSslError("cannot make a key");
    }
    std::array<unsigned char, 16> serial;
    if (RAND_bytes(serial.data(), serial.size()) != 1) {
        return OpenSslError("no random bytes");
    }
    // Positive, as serial numbers have to be.
    serial[0] = static_cast<unsigned char>((serial[0] & 0x7f) | 0x40);
    const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(
        BN_bin2bn(serial.data(), serial.size(), nullptr), BN_free);
    X509_NAME* const subject = X509_get_subject_name(certificate);
    if (number == nullptr ||
        BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr ||
        X509_set_version(certificate, X509_VERSION_3) != 1 ||
        ASN1_TIME_set(X509_getm_notBefore(certificate), now - kBackdateSeconds) == nullptr ||
        ASN1_TIME_set(X509_getm_notAfter(certificate), now + valid_days * kDaySeconds) == nullptr ||
        X509_set_pubkey(certificate, identity.key.get()) != 1 || !AddName(subject, "O", "Hearth") ||
        !AddName(subject, "CN", common_name) ||
        X509_set_issuer_name(
            certificate, issuer == nullptr ? subject : X509_get_subject_name(issuer)) != 1) {
        return OpenSslError("cannot make a certificate");
    }
    return identity;
}

Result<Identity> MakeAuthority(std::time_t now) {
    // The number tells two authorities apart in a client's list.
    std::array<unsigned char, 4> tag;
    if (RAND_bytes(tag.data(), tag.size()) != 1) {
        return OpenSslError("no random bytes");
    }
    const std::string name =
        fmt::format("Hearth authority {:02x}{:02x}{:02x}{:02x}", tag[0], tag[1], tag[2], tag[3]);
    HEARTH_TRY(Identity identity, NewIdentity(name, now, kAuthorityDays, nullptr));
    X509* const certificate = identity.certificate.get();
    if (!AddExtension(
            certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !AddExtension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !AddExtension(certificate, certificate, NID_subject_key_identifier, "hash") ||
        X509_sign(certificate, identity.key.get(), EVP_sha256()) == 0) {
        return OpenSslError("cannot make an authority");
    }
    return identity;
}

Result<Identity> MakeServer(
    const Identity& authority, const std::vector<std::string>& names, std::time_t now) {
    X509* const issuer = authority.certificate.get();
    HEARTH_TRY(Identity identity, NewIdentity("Hearth", now, kServerDays, issuer));
    std::string alternatives;
    for (const std::string& name : names) {
        std::array<unsigned char, sizeof(in6_addr)> address;
        const bool is_address = ::inet_pton(AF_INET, name.c_str(), address.data()) == 1 ||
                                ::inet_pton(AF_INET6, name.c_str(), address.data()) == 1;
        // The text is a small configuration language; what is no name must not reach it.
        const bool plain = std::all_of(name.begin(), name.end(), [&](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '-' || c == '_' || c == '.' || c == '*' || (is_address && c == ':');
        });
        if (name.empty() || !plain) {
            return errors::Malformed("not a name for a certificate: " + name);
        }
        alternatives += alternatives.empty() ? "" : ",";
        alternatives += (is_address ? "IP:" : "DNS:") + name;
    }
    X509* const certificate = identity.certificate.get();
    if (!AddExtension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
        !AddExtension(certificate, issuer, NID_key_usage, "critical,digitalSignature") ||
        !AddExtension(certificate, issuer, NID_ext_key_usage, "serverAuth") ||
        !AddExtension(certificate, issuer, NID_subject_key_identifier, "hash") ||
        !AddExtension(certificate, issuer, NID_authority_key_identifier, "keyid") ||
        !AddExtension(certificate, issuer, NID_subject_alt_name, alternatives) ||
        X509_sign(certificate, authority.key.get(), EVP_sha256()) == 0) {
        return OpenSslError("cannot make a server certificate");
    }
    return identity;
}

// The key first: a certificate never stands next to a key that is not its own for long, and where a
// crash falls between the two, both are made anew.
Status Store(const std::string& directory, const std::string& stem, const Identity& identity) {
    const std::string path = directory + "/" + stem;
    HEARTH_RETURN_IF_ERROR(WriteFile(path + ".key", ToPem(identity.key), 0600));
    HEARTH_RETURN_IF_ERROR(WriteFile(path + ".pem", ToPem(identity.certificate), 0644));
    return SyncDirectory(directory);
}

}  // namespace

Result<ServerCertificate> EnsureServerCertificate(
    const std::string& directory,
    const std::vector<std::string>& names,
    WallClock::time_point now) {
    ERR_clear_error();
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
        return errors::System("cannot make " + directory, errno);
    }
    const auto seconds = static_cast<std::time_t>(UnixMs(now) / 1000);
    ServerCertificate result;

    HEARTH_TRY(auto authority, ReadIdentity(directory + "/ca"));
    if (!authority.has_value() ||
        !ValidBetween(
            authority->certificate, seconds, seconds + kAuthorityRenewalDays * kDaySeconds)) {
        HEARTH_TRY(authority, MakeAuthority(seconds));
        HEARTH_RETURN_IF_ERROR(Store(directory, "ca", *authority));
        result.renewed = true;
    }

    HEARTH_TRY(auto server, ReadIdentity(directory + "/server"));
    const bool good =
        server.has_value() &&
        ValidBetween(server->certificate, seconds, seconds + kServerRenewalDays * kDaySeconds) &&
        X509_verify(server->certificate.get(), authority->key.get()) == 1 &&
        std::all_of(names.begin(), names.end(), [&](const std::string& name) {
            return Names(server->certificate, name);
        });
    ERR_clear_error();
    if (!good) {
        HEARTH_TRY(server, MakeServer(*authority, names, seconds));
        HEARTH_RETURN_IF_ERROR(Store(directory, "server", *server));
        result.renewed = true;
    }
    result.authority_pem = ToPem(authority->certificate);
    result.chain_pem = ToPem(server->certificate) + result.authority_pem;
    result.key_pem = ToPem(server->key);
    return result;
}

std::vector<std::string> DefaultCertificateNames(const std::string& bind_address) {
    std::vector<std::string> names{"localhost", "*.localhost", "127.0.0.1", "::1"};
    const auto add = [&](const std::string& name) {
        if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) {
            names.push_back(name);
        }
    };
    std::array<char, HOST_NAME_MAX + 1> host{};
    if (::gethostname(host.data(), host.size() - 1) == 0) {
        add(host.data());
    }
    if (bind_address != "0.0.0.0" && bind_address != "::") {
        add(bind_address);
    }
    return names;
}

}  // namespace hearth::http
