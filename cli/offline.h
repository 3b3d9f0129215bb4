/// \file
/// Looking into a state directory that no scheduler serves: the same API over the same files, for reading only.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "cli/api_client.h"
#include "engine/base/result.h"

namespace chappe::cli {

/// An API server inside this process, on loopback, with a token that nobody else knows.
class OfflineServer {
 public:
  /// `object_store`: as the scheduler had it; "" for the state directory's own. Errors: kNotFound: nothing ran there.
  static Result<std::unique_ptr<OfflineServer>> open(const std::filesystem::path& state_dir,
                                                     const std::string& object_store);
  ~OfflineServer();

  ApiClient client() const;

 private:
  struct State;
  explicit OfflineServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace chappe::cli
