#include "hearth/cloud/tls_setup.h"

#include "base/log.h"
#include "http/certificate_authority.h"
#include "http/tls.h"
#include "os/file.h"

#include <string>
#include <utility>

namespace hearth::cloud {
namespace {

constexpr size_t kPemBytesMax = 1 << 20;

Result<std::shared_ptr<http::TlsContext>> FromFiles(const CloudOptions& options) {
    auto certificate = os::ReadAt(options.tls_cert_fd, kPemBytesMax);
    if (!certificate.ok()) {
        return std::move(certificate).error().WithContext("--tls-cert");
    }
    auto key = os::ReadAt(options.tls_key_fd, kPemBytesMax);
    if (!key.ok()) {
        return std::move(key).error().WithContext("--tls-key");
    }
    auto made = http::TlsContext::FromPem(*certificate, *key);
    if (!made.ok()) {
        return std::move(made).error().WithContext("--tls-cert and --tls-key");
    }
    return made;
}

Result<std::shared_ptr<http::TlsContext>> FromOwnAuthority(
    const CloudOptions& options, WallClock& clock) {
    auto names = http::DefaultCertificateNames("");
    names.insert(names.end(), options.tls_names.begin(), options.tls_names.end());
    auto certificate = http::EnsureServerCertificate(".", names, clock.Now());
    if (!certificate.ok()) {
        return std::move(certificate).error().WithContext("--tls self");
    }
    if (certificate->renewed) {
        log::Info("made a server certificate; `hearth ca` prints the authority to trust");
    }
    return http::TlsContext::FromPem(certificate->chain_pem, certificate->key_pem);
}

}  // namespace

Result<std::shared_ptr<http::TlsContext>> MakeTls(const CloudOptions& options, WallClock& clock) {
    if (options.tls == "self") {
        return FromOwnAuthority(options, clock);
    }
    if (options.tls == "files") {
        return FromFiles(options);
    }
    return std::shared_ptr<http::TlsContext>();
}

}  // namespace hearth::cloud
