/// \file
/// The environment of a task: a few of the worker's own variables, the task's, and CHAPPE_*.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/run/events.h"
#include "storage/open/store_access.h"
#include "worker/app/secret_reader.h"

namespace chappe::worker {

/// Where a task finds what is its own; in a container, as seen from inside.
struct Places {
  std::string home;
  std::string tmp;
  std::string params;
  std::string secrets;  ///< Directory of those that are files.
  std::string ca_file;  ///< Who signs for the object store; "": the system's.
};

/// What an attempt is handed beside what its DAG says.
struct Handed {
  std::shared_ptr<const StoreAccess::Variables> store;  ///< Null: nothing of the object store.
  std::vector<Secret> secrets;
  std::uint16_t service_port = 0;  ///< Where a service is to listen; 0: it is none.
};

class Environment {
 public:
  /// Takes from `inherited` ("NAME=VALUE" texts, as in environ) what tasks may see: search path, language, time zone,
  /// proxies, certificates; and what `handed_on` names, a `*` at the end of a name standing for any rest. Credentials
  /// only if they are among the latter.
  explicit Environment(const char* const* inherited, const std::vector<std::string>& handed_on = {});

  /// All variables of one attempt. The task's win over the worker's, CHAPPE_* over both.
  std::vector<std::string> of(const Assignment& assignment, const Places& places, const Handed& handed) const;

  /// Values among those that were handed on whose names say that they are secret.
  const std::vector<std::string>& secrets() const { return secrets_; }

 private:
  std::vector<std::string> base_;
  std::vector<std::string> secrets_;
  std::vector<std::string> base_in_container_;  ///< An image has a search path, users and certificates of its own.
};

/// Names this try of this task in the world outside, and any other try of it alike: 64 hex digits over run, task, key
/// and generation. For systems that take each request of one name once.
std::string idempotency_key(const Assignment& assignment);

}  // namespace chappe::worker
