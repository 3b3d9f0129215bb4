/// \file
/// Writes one file of the local store: nameless while it grows, under its name when it is whole and durable.
#pragma once

#include <memory>
#include <string>

#include "engine/ports/object_store.h"
#include "storage/local/directory.h"

namespace chappe::local {

/// What a new name does to an old file of that name.
enum class IfThere { kReplace, kRefuse };

/// Gives `source` (a name in `staging`) the path `target` beneath `root`, durably. Errors: kConflict: refused.
Result<void> publish(const Directory& root, const File& staging, const std::string& source, const std::string& target,
                     IfThere if_there);

/// A file under a random name in the staging folder, read-write, gone with the process where the file system can do
/// that.
class StagedFile {
 public:
  static Result<StagedFile> make(const Directory& root);
  StagedFile(StagedFile&&) = default;
  StagedFile& operator=(StagedFile&&) = delete;
  ~StagedFile();
  const File& file() const { return file_; }
  /// Gives it a name in the staging folder; from now on it outlives the process. Returns the name.
  Result<std::string> keep();

 private:
  StagedFile() = default;
  File staging_;
  File file_;
  std::string name_;  ///< "" while it has none.
};

Result<std::unique_ptr<ObjectWriter>> make_file_writer(const Directory& root, std::string target, PutOptions options);

}  // namespace chappe::local
