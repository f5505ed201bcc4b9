#include "aws/auth/session_issuer.h"

#include "aws/auth/access_key_id.h"
#include "codec/base64/base64.h"

#include <cstdint>

namespace hearth::aws {
namespace {

// The sealed text: a format digit, then each field as length (two bytes) and bytes.
constexpr char kFormat = '1';
constexpr std::string_view kContext = "hearth/session";
constexpr size_t kTokenBytesMax = 4096;

void AddField(std::string& out, std::string_view field) {
    out += static_cast<char>(field.size() >> 8);
    out += static_cast<char>(field.size() & 0xff);
    out += field;
}

class FieldReader final {
  public:
    explicit FieldReader(std::string_view bytes) : bytes_(bytes) {}

    std::string Next() {
        if (bytes_.size() < 2) {
            ok_ = false;
            return {};
        }
        const size_t size = static_cast<size_t>(static_cast<uint8_t>(bytes_[0])) << 8 |
                            static_cast<uint8_t>(bytes_[1]);
        bytes_.remove_prefix(2);
        if (bytes_.size() < size) {
            ok_ = false;
            return {};
        }
        std::string field(bytes_.substr(0, size));
        bytes_.remove_prefix(size);
        return field;
    }

    bool ok() const { return ok_; }

  private:
    std::string_view bytes_;
    bool ok_ = true;
};

Error Unknown() {
    return errors::Malformed("not a session token of this cloud");
}

}  // namespace

SessionIssuer::SessionIssuer(const codec::MasterKey& master_key, WallClock& clock, Random& random)
    : key_(master_key.Derive("sts-session")), clock_(clock), random_(random) {}

Caller SessionIssuer::CallerOf(const RoleSession& session) {
    Caller caller;
    caller.type = Caller::Type::kAssumedRole;
    caller.account = session.account;
    caller.arn = "arn:aws:sts::" + session.account.text() + ":assumed-role/" + session.role_name +
                 "/" + session.session_name;
    caller.user_id = session.role_id + ":" + session.session_name;
    caller.principal_name = session.role_name;
    caller.verified = true;
    return caller;
}

SessionCredentials SessionIssuer::IssueForRole(const RoleSession& session) const {
    return Seal(CallerOf(session), session.duration);
}

SessionCredentials SessionIssuer::IssueFor(
    const Caller& caller, std::chrono::seconds duration) const {
    return Seal(caller, duration);
}

SessionCredentials SessionIssuer::Seal(const Caller& caller, std::chrono::seconds duration) const {
    SessionCredentials made;
    made.access_key_id = MakeAccessKeyId(kSessionKeyPrefix, caller.account, random_);
    made.secret_access_key = MakeSecretAccessKey(random_);
    // AWS answers whole seconds.
    made.expiration =
        std::chrono::floor<std::chrono::seconds>(clock_.Now()) + WallClock::duration(duration);
    std::string plain(1, kFormat);
    AddField(plain, made.access_key_id);
    AddField(plain, made.secret_access_key);
    AddField(plain, std::to_string(UnixMs(made.expiration)));
    AddField(plain, std::to_string(static_cast<int>(caller.type)));
    AddField(plain, caller.account.text());
    AddField(plain, caller.arn);
    AddField(plain, caller.user_id);
    AddField(plain, caller.principal_name);
    const std::string sealed = key_.Seal(plain, kContext);
    made.session_token = std::string(kTokenPrefix) + codec::Base64Encode(sealed);
    return made;
}

bool SessionIssuer::IsOurs(std::string_view session_token) {
    return session_token.starts_with(kTokenPrefix);
}

Result<SessionIssuer::Opened> SessionIssuer::Open(std::string_view session_token) const {
    if (session_token.size() > kTokenBytesMax || !IsOurs(session_token)) {
        return Unknown();
    }
    HEARTH_TRY(
        const std::string sealed, codec::Base64Decode(session_token.substr(kTokenPrefix.size())));
    HEARTH_TRY(const std::string plain, key_.Open(sealed, kContext));
    if (plain.empty() || plain[0] != kFormat) {
        return Unknown();
    }
    FieldReader reader(std::string_view(plain).substr(1));
    Opened opened;
    opened.access_key_id = reader.Next();
    opened.secret_access_key = reader.Next();
    const std::string expiration_ms = reader.Next();
    const std::string type = reader.Next();
    opened.caller.account = AccountId(reader.Next());
    opened.caller.arn = reader.Next();
    opened.caller.user_id = reader.Next();
    opened.caller.principal_name = reader.Next();
    // It is authentic, so what does not parse is a bug of the writer above.
    CHECK_REQUEST(reader.ok() && !expiration_ms.empty() && !type.empty());
    opened.expiration = WallClock::time_point(std::chrono::milliseconds(std::stoll(expiration_ms)));
    opened.caller.type = static_cast<Caller::Type>(std::stoi(type));
    opened.caller.access_key_id = opened.access_key_id;
    opened.caller.verified = true;
    return opened;
}

}  // namespace hearth::aws
