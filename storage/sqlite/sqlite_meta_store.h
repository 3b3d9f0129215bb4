/// \file
/// The metadata store on SQLite: one file, one writer, any number of readers of the same process.
///
///   chappe.db       tables and views (schema.cc); readable with the sqlite3 shell
///   chappe.db-wal   what was committed since the latest checkpoint
///   lock            held by the one process that has the store open, with its id in it
///
/// One connection does all writes and all checkpoints: two at once meet the WAL-reset race of SQLite before 3.51.3.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "engine/ports/meta_reader.h"
#include "engine/ports/meta_store.h"

namespace chappe {

struct SqliteOptions {
  std::uint64_t checkpoint_bytes = std::uint64_t{4} << 20;  ///< checkpoint_if_due() moves a log of this size ...
  std::uint64_t log_bytes_max = std::uint64_t{16} << 20;    ///< ... and commit() itself one of this size.
  std::uint64_t check_bytes_max = std::uint64_t{64} << 20;  ///< Larger files are opened without a look at all pages.
  Duration read_time_max = std::chrono::seconds(10);        ///< A longer read is ended: it would hold the log back.
};

class SqliteMetaStore final : public MetaStore {
 public:
  /// Opens or makes the store at `path`, in an existing directory, and raises its epoch. Errors: kConflict: another
  /// process has it open; kUnsupported: a network file system; kInvalidInput: no store, or one of a newer Chappe;
  /// kCorrupt: damaged.
  static Result<std::unique_ptr<SqliteMetaStore>> open(const std::filesystem::path& path,
                                                       const SqliteOptions& options = {});
  /// A reader of the store at `path`, which some process has opened before. Thread: any; close readers before the
  /// store.
  static Result<std::unique_ptr<MetaReader>> open_reader(const std::filesystem::path& path,
                                                         const SqliteOptions& options = {});

  /// The process that has the store at `path` open for writing; nullopt: none, or there is no store.
  static std::optional<int> find_writer(const std::filesystem::path& path);

  ~SqliteMetaStore() override;
  Result<StoredState> load() override;
  Result<void> commit(const Persist& changes) override;
  Result<void> checkpoint_if_due() override;

 private:
  struct State;
  explicit SqliteMetaStore(std::unique_ptr<State> state);
  template <typename Work>
  auto carry_out(std::string_view what, Work work) -> Result<std::invoke_result_t<Work>>;
  std::unique_ptr<State> state_;
};

}  // namespace chappe
