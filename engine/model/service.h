/// \file
/// A task that stays up while those that depend on it run: a database, a model server. Plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/time.h"

namespace chappe {

/// Outputs that every service has while it is ready: "HOST:PORT", and its halves.
inline constexpr std::string_view kServiceAddress = "address";
inline constexpr std::string_view kServiceHost = "host";
inline constexpr std::string_view kServicePort = "port";
inline constexpr std::size_t kServiceHostMax = 255;  ///< Bytes.

/// When it counts as ready, and where it listens.
struct ServiceSpec {
  enum class Ready : std::uint8_t {
    kPort,  ///< Something takes connections at its port.
    kHttp,  ///< GET of `ready_at` there answers with a status from 200 to 299.
    kFile,  ///< There is a file `ready_at` in its work directory.
  };
  Ready ready = Ready::kPort;
  std::string ready_at;    ///< A path: of a URL, or in the work directory.
  std::uint16_t port = 0;  ///< 0: one that is free there, in CHAPPE_SERVICE_PORT as any other.
  Duration ready_timeout = std::chrono::minutes(5);  ///< From its start until it must be ready.
  bool operator==(const ServiceSpec&) const = default;
};

}  // namespace chappe
