// Attempts that are services: their port, and who says when they take calls. The rest is in executor.cc.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "engine/ports/log.h"
#include "worker/app/execution.h"
#include "worker/request/service.h"

namespace chappe::worker {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookMin = 20ms;  ///< Between two looks: many are up in no time, ...
constexpr auto kLookMax = 1s;    ///< ... and a large model is read for minutes.

/// Looks until it is ready, or nobody wants to know any more. False: the latter.
bool wait_until_ready(const ServiceSpec& service, std::uint16_t port, const std::string& directory,
                      const std::atomic<bool>& stopped) {
  for (std::chrono::milliseconds rest = kLookMin; !stopped;
       rest = std::min<std::chrono::milliseconds>(rest * 2, kLookMax)) {
    if (request::is_ready(service, port, directory, stopped)) return !stopped;
    for (auto left = rest; left > 0ms && !stopped; left -= kLookMin) std::this_thread::sleep_for(kLookMin);
  }
  return false;
}

}  // namespace

/// False: the attempt is over, as there is no port for it.
bool Executor::give_port(Execution& execution) {
  const auto port = request::free_port(execution.work().service->port);
  if (!port) {
    fail_attempt(execution, Reason::kLaunchFailed, port.error().message);
    return false;
  }
  execution.handed.service_port = *port;
  return true;
}

/// Its program runs: somebody looks when it takes calls. What they find is of no interest once it has ended.
void Executor::watch_service(Execution& execution) {
  execution.unwatched = std::make_shared<std::atomic<bool>>(false);
  const bool submitted = looks_.submit([this, attempt = execution.id(), service = *execution.work().service,
                                        port = execution.handed.service_port, directory = execution.folder->work,
                                        stopped = execution.unwatched] {
    const bool ready = wait_until_ready(service, port, directory, *stopped);
    std::string host = ready ? request::address_towards(parts_.scheduler) : "";
    return [this, attempt, port, ready, stopped, host = std::move(host)]() mutable {
      if (ready && !*stopped) parts_.agent.service_ready(attempt, std::move(host), port);
    };
  });
  if (!submitted)
    log::warn("too many services begin at once: {} will not be seen to be ready", to_text(execution.id()));
}

}  // namespace chappe::worker
