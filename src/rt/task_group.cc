#include "rt/task_group.h"

#include "base/check.h"
#include "base/log.h"
#include "rt/suspension.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>

#include <vector>

namespace hearth::rt {

namespace asio = boost::asio;

namespace {

bool IsCancellation(const std::exception_ptr& thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const boost::system::system_error& error) {
        return error.code() == asio::error::operation_aborted;
    } catch (...) {
        return false;
    }
}

std::string Describe(const std::exception_ptr& thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception& exception) {
        return exception.what();
    } catch (...) {
        return "something that is no std::exception";
    }
}

}  // namespace

struct TaskGroup::Child {
    asio::cancellation_signal signal;
    std::list<Child*>::iterator place;
};

class TaskGroup::Joining final : public Suspension {
  public:
    explicit Joining(TaskGroup& group) : group_(group) {}

    ~Joining() override = default;

  private:
    void Started() override { place_ = group_.joining_.insert(group_.joining_.end(), this); }

    void Cancelled() override { group_.joining_.erase(place_); }

    TaskGroup& group_;
    std::list<Joining*>::iterator place_;
};

TaskGroup::~TaskGroup() {
    CHECK(children_.empty(), "a task group destroyed with {} children", children_.size());
}

void TaskGroup::Spawn(Task<void> task) {
    auto child = std::make_shared<Child>();
    child->place = children_.insert(children_.end(), child.get());
    asio::co_spawn(
        *CurrentLoop().context,
        std::move(task),
        asio::bind_cancellation_slot(
            child->signal.slot(), [this, child](const std::exception_ptr& thrown) {
                children_.erase(child->place);
                if (thrown && !IsCancellation(thrown)) {
                    log::Error("a background task failed: {}", Describe(thrown));
                    if (!thrown_) {
                        thrown_ = thrown;
                    }
                }
                if (children_.empty()) {
                    while (!joining_.empty()) {
                        Joining* const joining = joining_.front();
                        joining_.pop_front();
                        joining->Wake();
                    }
                }
            }));
}

Task<void> TaskGroup::Join() {
    while (!children_.empty()) {
        Joining joining(*this);
        if (!co_await joining.Wait()) {
            // The joiner was cancelled: so are the children, and it waits for them all the same.
            co_await asio::this_coro::throw_if_cancelled(false);
            Cancel();
        }
    }
    if (thrown_) {
        std::rethrow_exception(std::exchange(thrown_, nullptr));
    }
}

void TaskGroup::Cancel() {
    // A child leaves the list only from the loop's queue, never inside emit.
    for (Child* child : children_) {
        child->signal.emit(asio::cancellation_type::terminal);
    }
}

}  // namespace hearth::rt
