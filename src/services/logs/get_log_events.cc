#include "services/logs/errors.h"
#include "services/logs/limits.h"
#include "services/logs/logs_service.h"
#include "services/logs/request.h"

#include <charconv>

namespace hearth::logs {
namespace {

// "f/" or "b/" and 56 digits: time, sequence + 1 (0: before the first event of that time), zeros.
constexpr int kTimeDigits = 14;
constexpr int kSequenceDigits = 20;
constexpr int kZeroDigits = 22;

struct Token {
    bool forward = true;
    Position position;
};

std::string EncodeToken(char direction, const Position& position) {
    return fmt::format(
        "{}/{:0{}}{:0{}}{:0{}}",
        direction,
        position.timestamp_ms,
        kTimeDigits,
        position.sequence + 1,
        kSequenceDigits,
        0,
        kZeroDigits);
}

Result<Token> DecodeToken(std::string_view text) {
    if (text.size() != 2 + kTimeDigits + kSequenceDigits + kZeroDigits ||
        (text[0] != 'f' && text[0] != 'b') || text[1] != '/') {
        return errors::BadToken();
    }
    Token token{.forward = text[0] == 'f', .position = {}};
    const char* const digits = text.data() + 2;
    const char* const middle = digits + kTimeDigits;
    const char* const end = middle + kSequenceDigits;
    const auto time = std::from_chars(digits, middle, token.position.timestamp_ms);
    const auto sequence = std::from_chars(middle, end, token.position.sequence);
    if (time.ec != std::errc() || time.ptr != middle || sequence.ec != std::errc() ||
        sequence.ptr != end || token.position.timestamp_ms < 0 || token.position.sequence < 0) {
        return errors::BadToken();
    }
    --token.position.sequence;
    return token;
}

}  // namespace

// Forward and backward tokens are places: what comes after the last event given, and before the
// first. A page without events keeps the place, so a client that gets its own token back has
// reached the end.
Task<Result<model::GetLogEvents::Output>> LogsService::GetLogEvents(
    aws::RequestContext& context, model::GetLogEvents::Input input) {
    HEARTH_CO_TRY(
        const GroupName group, GroupOf(context, input.log_group_name, input.log_group_identifier));
    HEARTH_CO_TRY(const GroupRecord record, co_await store_.FindGroup(group));
    HEARTH_CO_TRY(
        const StreamRecord stream,
        co_await store_.FindStream(group, record, *input.log_stream_name));
    std::optional<Token> token;
    if (input.next_token) {
        HEARTH_CO_TRY(token, DecodeToken(*input.next_token));
    }
    const StreamRange range{
        .group = group,
        .group_record = record,
        .stream = stream,
        .begin_ms = input.start_time.value_or(0),
        .end_ms = input.end_time.value_or(INT64_MAX),
        .events_max = static_cast<size_t>(input.limit.value_or(kAnswerEventsMax)),
        .bytes_max = kAnswerBytesMax};
    const bool forward = token ? token->forward : input.start_from_head.value_or(false);
    const std::optional<Position> place =
        token ? std::optional<Position>(token->position) : std::nullopt;
    Result<std::vector<Event>> read = forward ? co_await ReadForward(store_, range, place)
                                              : co_await ReadBackward(store_, range, place);
    HEARTH_CO_TRY(std::vector<Event> events, std::move(read));

    Position first = place.value_or(Position{range.begin_ms, "", -1});
    Position last = first;
    if (!events.empty()) {
        first = {events.front().timestamp_ms, "", events.front().sequence};
        last = {events.back().timestamp_ms, "", events.back().sequence};
    }
    model::GetLogEvents::Output out;
    out.next_forward_token = EncodeToken('f', last);
    out.next_backward_token = EncodeToken('b', first);
    out.events.emplace();
    out.events->reserve(events.size());
    for (Event& event : events) {
        model::OutputLogEvent& shown = out.events->emplace_back();
        shown.timestamp = event.timestamp_ms;
        shown.message = std::move(event.message);
        shown.ingestion_time = event.ingestion_ms;
    }
    co_return out;
}

}  // namespace hearth::logs
