#include "storage/sqlite/sqlite_meta_store.h"

#include <fmt/format.h>

#include <chrono>
#include <optional>

#include "storage/sqlite/loader.h"
#include "storage/sqlite/schema.h"
#include "storage/sqlite/sqlite_meta_reader.h"
#include "storage/sqlite/store_lock.h"
#include "storage/sqlite/write_ahead_log.h"
#include "storage/sqlite/writer.h"

namespace chappe {

using sqlite::Connection;
using sqlite::Failed;
using sqlite::Statement;
using sqlite::Transaction;

namespace {

std::filesystem::path directory_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : ".";
}

WallTime wall_now() {
  return {std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch()).count()};
}

void check_pages(Connection& connection, std::uint64_t bytes_max) {
  Statement size(connection, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
  size.query().step();
  if (size.next<std::uint64_t>() > bytes_max) return;
  Statement check(connection, "PRAGMA quick_check(1)");
  check.query().step();
  if (const auto verdict = check.next<std::string>(); verdict != "ok") {
    throw Failed{{ErrorCode::kCorrupt, fmt::format("the file is damaged ({}): restore it from a backup", verdict)}};
  }
}

Connection open_writer(const std::filesystem::path& path, const SqliteOptions& options) {
  Connection connection(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  // Refuse before anything is written.
  const bool migration_due = needs_migration(connection, sqlite::migrations());
  connection.execute(
      "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; "
      "PRAGMA secure_delete = OFF; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY");
  if (migration_due) {
    sqlite::migrate(connection, sqlite::migrations(), wall_now());
  } else {
    check_pages(connection, options.check_bytes_max);
  }
  return connection;
}

/// Past every epoch of this store, and of one that was restored from a backup of it: what happened after the backup is
/// not known here, but its attempts' ids and objects are out there. So epochs follow the clock: one each 5 minutes
/// since 2026, and one more for each start beyond that.
std::uint32_t raise_epoch(Connection& connection) {
  constexpr std::int64_t kSince = 1'767'225'600'000'000, kStep = 300'000'000;
  Transaction transaction(connection, "BEGIN IMMEDIATE");
  Statement statement(connection, "UPDATE store SET epoch = max(epoch + 1, ?) RETURNING epoch");
  statement.query((wall_now().us - kSince) / kStep).step();
  const auto epoch = statement.next<std::uint32_t>();
  statement.reset();
  transaction.commit();
  return epoch;
}

}  // namespace

struct SqliteMetaStore::State {
  State(sqlite::StoreLock held, const std::filesystem::path& path, const SqliteOptions& chosen)
      : lock(std::move(held)),
        connection(open_writer(path, chosen)),
        epoch(raise_epoch(connection)),
        log(connection, path, chosen.checkpoint_bytes, chosen.log_bytes_max),
        writer(connection),
        epoch_now(connection, "SELECT epoch FROM store") {}

  void check_epoch() {
    epoch_now.query().step();
    const auto now = epoch_now.next<std::uint32_t>();
    epoch_now.reset();
    if (now != epoch) {
      throw Failed{{ErrorCode::kConflict, fmt::format("a newer scheduler has taken this store over: its epoch is {}, "
                                                      "ours is {}",
                                                      now, epoch)}};
    }
  }

  void write(const Persist& changes) {
    Transaction transaction(connection, "BEGIN IMMEDIATE");
    check_epoch();
    writer.write(changes);
    transaction.commit();
  }

  /// Nor does closing move the log: another scheduler may be at it, or the disk may have lost what we wrote.
  void stop(const Error& error) {
    stopped = error;
    sqlite3_db_config(connection.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  }

  sqlite::StoreLock lock;  // Released last.
  Connection connection;
  std::uint32_t epoch;
  sqlite::WriteAheadLog log;
  sqlite::Writer writer;
  Statement epoch_now;
  std::optional<Error> stopped;  ///< Why this store takes nothing more.
};

SqliteMetaStore::SqliteMetaStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
SqliteMetaStore::~SqliteMetaStore() = default;

Result<std::unique_ptr<SqliteMetaStore>> SqliteMetaStore::open(const std::filesystem::path& path,
                                                               const SqliteOptions& options) {
  const std::string what = "open metadata store " + path.native();
  const std::filesystem::path directory = directory_of(path);
  if (auto local = sqlite::refuse_network_filesystem(directory); !local) return fail(std::move(local.error()).in(what));
  Result<sqlite::StoreLock> lock = sqlite::StoreLock::take(directory / "lock");
  if (!lock) return fail(std::move(lock.error()).in(what));
  return sqlite::catching(what, [&] {
    return std::unique_ptr<SqliteMetaStore>(
        new SqliteMetaStore(std::make_unique<State>(std::move(*lock), path, options)));
  });
}

std::optional<int> SqliteMetaStore::find_writer(const std::filesystem::path& path) {
  return sqlite::StoreLock::find_holder(directory_of(path) / "lock");
}

Result<std::unique_ptr<MetaReader>> SqliteMetaStore::open_reader(const std::filesystem::path& path,
                                                                 const SqliteOptions& options) {
  return sqlite::catching("open metadata store " + path.native() + " to read", [&]() -> std::unique_ptr<MetaReader> {
    return std::make_unique<sqlite::SqliteMetaReader>(path, options.read_time_max);
  });
}

/// After an error the outcome is unknown, and what was decided since may rest on it: nothing more is taken.
template <typename Work>
auto SqliteMetaStore::carry_out(std::string_view what, Work work) -> Result<std::invoke_result_t<Work>> {
  if (state_->stopped) {
    return fail(state_->stopped->code, fmt::format("{}: the store stopped after an error, restart to go on: {}", what,
                                                   state_->stopped->message));
  }
  auto result = sqlite::catching(what, work);
  if (!result && result.error().code != ErrorCode::kNotFound) state_->stop(result.error());
  return result;
}

Result<StoredState> SqliteMetaStore::load() {
  return carry_out("load metadata", [this] {
    Transaction snapshot(state_->connection, "BEGIN");
    return sqlite::load_state(state_->connection);
  });
}

Result<void> SqliteMetaStore::commit(const Persist& changes) {
  return carry_out("commit", [&] {
    state_->write(changes);
    state_->log.after_commit();
  });
}

Result<void> SqliteMetaStore::checkpoint_if_due() {
  return carry_out("checkpoint", [this] { state_->log.idle(); });
}

}  // namespace chappe
