#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <string>
#include <vector>

namespace hearth::http {

// The certificate authority of one Hearth, for `--tls self`: clients trust its certificate once
// (`hearth ca` prints it), and it signs the server's certificate.
//
// Everything is in one directory, keys readable by their owner alone:
//   ca.pem ca.key          for ten years; made anew only when it comes near its end
//   server.pem server.key  for 397 days, the longest that clients accept; made anew when a month is
//   left,
//                          a name is missing, or the authority is another one
struct ServerCertificate {
    // The server's certificate followed by the authority's, its key, and the authority's
    // certificate.
    std::string chain_pem;
    std::string key_pem;
    std::string authority_pem;
    // Something was made anew.
    bool renewed = false;
};

// Reads the files, makes what is missing or worn, and gives the result. Files are replaced whole,
// so a crash leaves the old or the new. `names` are host names and addresses; "*." may start a
// name.
Result<ServerCertificate> EnsureServerCertificate(
    const std::string& directory, const std::vector<std::string>& names, WallClock::time_point now);

// What every server certificate names, besides the address it is bound to: localhost with all names
// below it, the loopback addresses, and this machine's name.
std::vector<std::string> DefaultCertificateNames(const std::string& bind_address);

}  // namespace hearth::http
