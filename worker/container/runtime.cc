#include "worker/container/runtime.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <thread>
#include <utility>

#include "engine/ports/log.h"
#include "worker/container/container_spec.h"
#include "worker/exec/fence.h"

namespace chappe::container {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLookAgain = 100ms;
constexpr std::string_view kUnix = "unix://";

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::optional<Runtime> look_at(const std::string& socket) {
  if (::access(socket.c_str(), R_OK | W_OK) != 0) return std::nullopt;
  auto version = ContainerApi(socket).version();
  if (!version) return std::nullopt;
  return Runtime{socket, *std::move(version)};
}

}  // namespace

std::vector<std::string> usual_sockets(const std::function<std::string(const char*)>& variable) {
  const std::string host = variable("DOCKER_HOST");
  if (!host.empty()) {
    if (host.starts_with(kUnix)) return {host.substr(kUnix.size())};
    log::warn("DOCKER_HOST is {}: only Unix sockets are used (unix:///PATH)", host);
    return {};
  }
  std::vector<std::string> sockets{"/run/podman/podman.sock", "/var/run/docker.sock"};
  const std::string own = variable("XDG_RUNTIME_DIR");
  if (!own.empty()) sockets.insert(sockets.end(), {own + "/podman/podman.sock", own + "/docker.sock"});
  return sockets;
}

Result<std::optional<Runtime>> find_runtime(const std::string& wish) {
  if (wish == "none") return std::optional<Runtime>();
  const bool insists = !wish.empty();
  const std::vector<std::string> sockets =
      !insists ? usual_sockets(&from_environment)
               : std::vector{wish.starts_with(kUnix) ? wish.substr(kUnix.size()) : wish};
  for (const std::string& socket : sockets) {
    if (auto found = look_at(socket)) return found;
  }
  if (!insists) {
    log::info("no container runtime answers at {}", fmt::join(sockets, ", "));
    return std::optional<Runtime>();
  }
  return fail(ErrorCode::kUnavailable, fmt::format("no container runtime answers at {}", sockets.front()));
}

std::string owner_label(const std::string& owner) { return fmt::format("{}={}", kOwnerLabel, owner); }

Result<std::size_t> remove_all(ContainerApi& api, const std::string& owner, Duration most) {
  const MonoTime until = exec::boot_time() + most;
  std::set<std::string> seen;
  for (int empty_looks = 0; empty_looks < 2;) {
    const auto left = api.labelled(owner_label(owner), ContainerApi::Which::kAll);
    if (!left) return fail(left.error());
    for (const std::string& id : *left) {
      seen.insert(id);
      if (auto removed = api.remove(id); !removed) log::warn("remove container {}: {}", id, removed.error().message);
    }
    empty_looks = left->empty() ? empty_looks + 1 : 0;
    if (empty_looks < 2 && exec::boot_time() >= until) {
      return fail(ErrorCode::kUnavailable, fmt::format("{} containers of {} cannot be removed", left->size(), owner));
    }
    // A request of the worker that died may still be under way.
    if (empty_looks == 1 && !seen.empty()) std::this_thread::sleep_for(kLookAgain);
    if (seen.empty()) break;
  }
  return seen.size();
}

}  // namespace chappe::container
