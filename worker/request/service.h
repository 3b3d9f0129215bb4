/// \file
/// Services on this machine: where they listen, whether they take calls, and how others reach them.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "engine/model/service.h"

namespace chappe::request {

/// A port that nobody listens at: `wanted`, or any where that is 0. Somebody may take it before the service does, which
/// then fails, and is tried again as its DAG says. Errors: kConflict: `wanted` is taken.
Result<std::uint16_t> free_port(std::uint16_t wanted);

/// One look. Blocking, for a few seconds at most. `directory`: its work directory.
bool is_ready(const ServiceSpec& service, std::uint16_t port, const std::string& directory,
              const std::atomic<bool>& stopped);

/// The address by which this machine reaches a ZeroMQ endpoint ("tcp://HOST:PORT"), so that others there reach it,
/// too: of a pod the pod's. IPv6 in brackets; "127.0.0.1" where there is no such way. Blocking: it may ask for a name.
std::string address_towards(const std::string& endpoint);

}  // namespace chappe::request
