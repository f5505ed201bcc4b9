#include "hearth/cloud/tls_setup.h"

#include "base/log.h"
#include "http/certificate_authority.h"
#include "http/tls.h"
#include "os/file.h"

#include <fmt/format.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace hearth::cloud {
namespace {

constexpr size_t kPemBytesMax = 1 << 20;

// A certificate's wildcard stands for one label, and a function URL has the region in its name:
// <id>.lambda-url.<region>.localhost. Source: "Regions and Availability Zones", 2026.
constexpr std::array kRegions = {
    "af-south-1",     "ap-east-1",      "ap-east-2",      "ap-northeast-1", "ap-northeast-2",
    "ap-northeast-3", "ap-south-1",     "ap-south-2",     "ap-southeast-1", "ap-southeast-2",
    "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
    "ca-central-1",   "ca-west-1",      "eu-central-1",   "eu-central-2",   "eu-north-1",
    "eu-south-1",     "eu-south-2",     "eu-west-1",      "eu-west-2",      "eu-west-3",
    "il-central-1",   "me-central-1",   "me-south-1",     "mx-central-1",   "sa-east-1",
    "us-east-1",      "us-east-2",      "us-west-1",      "us-west-2"};

// Those below localhost and below the names the certificate was asked for.
std::vector<std::string> FunctionUrlNames(std::vector<std::string> parents) {
    parents.emplace_back("localhost");
    std::vector<std::string> names;
    for (const std::string& parent : parents) {
        // Nothing stands below an address, or below a name that is a wildcard itself.
        if (parent.find_first_not_of("0123456789.") == std::string::npos ||
            parent.find_first_of(":*") != std::string::npos) {
            continue;
        }
        for (const char* region : kRegions) {
            names.push_back(fmt::format("*.lambda-url.{}.{}", region, parent));
        }
    }
    return names;
}

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
    for (std::string& name : FunctionUrlNames(options.tls_names)) {
        names.push_back(std::move(name));
    }
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
