/// \file
/// Inputs into an attempt's work directory, outputs out of it. Blocking; constant memory whatever the sizes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/model/policies.h"
#include "engine/ports/object_store.h"
#include "engine/run/events.h"
#include "worker/artifacts/patience.h"

namespace chappe::artifacts {

inline constexpr std::uint64_t kValueFileMax = kValueMax;             ///< Bytes of a file that values are read from.
inline constexpr std::size_t kInlineSumMax = std::size_t{256} << 10;  ///< Of an attempt's values in its end.
inline constexpr std::size_t kFolderDepthMax = 128;                   ///< Of a packed directory.

/// Why an attempt ends when its files cannot be moved: kArtifactIo (storage) or kInvalidOutput (the task).
struct StagingFailure {
  Reason reason = Reason::kArtifactIo;
  std::string message;
};

template <typename T>
class [[nodiscard]] Staged : public tl::expected<T, StagingFailure> {
 public:
  using tl::expected<T, StagingFailure>::expected;
};

/// Where and for whom. `stop` may be set by another thread: the call fails soon after. While the store is out of reach
/// (kUnavailable) a transfer waits for it.
struct StagingPlace {
  ObjectStore& store;
  std::string directory;
  const std::atomic<bool>& stop;
  Patience patience{};
  /// Finds what an input names by `s3`. Empty: nothing is found.
  std::function<Result<ObjectPlace>(const std::string& name)> find = {};
};

inline constexpr int kOverwrittenMax = 5;  ///< Times that an object may be written anew while it is read.

struct StagedIn {
  std::uint64_t bytes = 0;
  std::vector<InputObject> read;  ///< What was read by `s3`, one version each, with size, hash and URI.
};

/// Fetches every object, checks size and SHA-256 before the task sees it, and unpacks directories. What cannot be had,
/// or is not what it was, fails with kArtifactIo.
Staged<StagedIn> stage_in(const StagingPlace& place, const std::vector<ResolvedInput>& inputs);

struct StagedOut {
  AttemptOutputs outputs;
  std::uint64_t bytes = 0;
};

/// Checks that all that was promised is there, then reads the values, uploads the artifacts under `prefix`, with values
/// that are too large to be told, and stages those that are assets. On failure nothing is left in the store.
Staged<StagedOut> stage_out(const StagingPlace& place, const std::string& prefix, AttemptId attempt,
                            const ResolvedWork& work);

/// Undoes what stage_out() did: nobody wants it. What cannot be removed now is found by the store's sweep.
void discard(ObjectStore& store, const AttemptOutputs& outputs);

/// Where an output's object goes. The attempt's log has the key PREFIX "log".
std::string output_key(const std::string& prefix, const std::string& name);

}  // namespace chappe::artifacts
