#include "flow/courier.h"

#include "base/check.h"
#include "base/random.h"
#include "rt/loops.h"

namespace hearth::flow {

struct Courier::State {
    Deps deps;
};

Courier::Courier(Deps deps) : Courier(deps, Limits{}) {}

Courier::Courier(Deps deps, Limits) : state_(new State{deps}) {}

Courier::~Courier() = default;

void Courier::Register(std::string, Handler, KindOptions) {}

Task<Status> Courier::Start() {
    co_return Status();
}

Task<void> Courier::Drain(std::chrono::milliseconds) {
    co_return;
}

Task<void> Courier::Stop() {
    co_return;
}

std::string Courier::NewId() {
    return state_->deps.random.Uuid();
}

Delivery Courier::Make(std::string kind, std::string lane, std::string payload) {
    const auto now = state_->deps.clock.Now();
    return {std::move(kind), std::move(lane), NewId(), std::move(payload), now, now, 0};
}

Status Courier::Put(storage::Transaction&, const Delivery&) {
    return errors::Unavailable("deliveries are not there yet");
}

void Courier::Committed(Delivery) {}

void Courier::LookAgain(std::string, std::string) {}

Task<Status> Courier::Send(Delivery) {
    co_return errors::Unavailable("deliveries are not there yet");
}

Task<Status> Courier::DropLane(std::string, std::string) {
    co_return Status();
}

Task<std::vector<Courier::LaneFacts>> Courier::List(std::string, std::string, size_t) {
    co_return std::vector<LaneFacts>();
}

std::map<std::string, Courier::KindCounts> Courier::Counts() const {
    return {};
}

Task<Status> Courier::Settle(std::chrono::milliseconds) {
    co_return Status();
}

Task<size_t> Courier::CountInMemory() {
    co_return 0;
}

}  // namespace hearth::flow
