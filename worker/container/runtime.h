/// \file
/// Which container runtime there is on this machine, and the containers that a worker which is no more left in it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/time.h"
#include "worker/container/container_api.h"

namespace chappe::container {

struct Runtime {
  std::string socket;
  std::string version;  ///< "Podman Engine 4.3.1".
};

/// Where a runtime may be found: DOCKER_HOST alone where that is set, else the usual places. `variable`: of the
/// environment, "" where not set.
std::vector<std::string> usual_sockets(const std::function<std::string(const char*)>& variable);

/// `wish`: a socket's path, "none", or "" for the first of usual_sockets() that answers. nullopt: there is none, and
/// nobody insists. Errors: kUnavailable: the socket that was wished for does not answer.
Result<std::optional<Runtime>> find_runtime(const std::string& wish);

/// Kills and removes all containers that have the label, also such as only now come about. Errors: kUnavailable: after
/// `most` some were left, or the runtime does not answer. Returns how many there were.
Result<std::size_t> remove_all(ContainerApi& api, const std::string& owner, Duration most);

/// "chappe.owner=HOST:WORK_DIRECTORY"
std::string owner_label(const std::string& owner);

}  // namespace chappe::container
