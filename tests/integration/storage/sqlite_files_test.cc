// What is in the way of opening: other processes, other programs' files, newer and older schemas, damage, full disks.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>

#include "storage/sqlite/schema.h"
#include "storage/sqlite/store_lock.h"
#include "tests/integration/storage/sqlite_fixture.h"

namespace chappe {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class SqliteFiles : public SqliteStoreTest {
 protected:
  Error refusal() {
    auto opened = SqliteMetaStore::open(path);
    EXPECT_FALSE(opened);
    return opened ? Error{} : opened.error();
  }
  void plant(const char* sql) {
    sqlite::Connection connection(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    connection.execute(sql);
  }
};

TEST_F(SqliteFiles, ASecondOpenerIsToldWhichProcessIsInTheWay) {
  open();
  const Error error = refusal();
  EXPECT_EQ(error.code, ErrorCode::kConflict);
  EXPECT_THAT(error.message, AllOf(HasSubstr("process " + std::to_string(getpid())), HasSubstr("stop it first")));
  store.reset();
  open();
}

TEST_F(SqliteFiles, AreForTheirOwnerOnlyWhereLocksAreConcerned) {
  open();
  struct stat status {};
  ASSERT_EQ(stat((directory / "lock").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(SqliteFiles, AreNamedInTheMessageWhereTheDirectoryIsMissing) {
  path = directory / "missing" / "chappe.db";
  EXPECT_THAT(refusal().message, AllOf(HasSubstr(path.native()), HasSubstr("No such file")));
}

TEST_F(SqliteFiles, AreNotOpenedToReadBeforeThereIsAStore) {
  EXPECT_EQ(SqliteMetaStore::open_reader(path).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(SqliteFiles, OfAnotherProgramAreLeftAlone) {
  plant("CREATE TABLE recipes (name TEXT)");
  const Error error = refusal();
  EXPECT_EQ(error.code, ErrorCode::kInvalidInput);
  EXPECT_THAT(error.message, HasSubstr("another program"));
  EXPECT_EQ(ask("PRAGMA journal_mode"), "delete");
  EXPECT_EQ(ask("SELECT count(*) FROM sqlite_schema"), "1");
}

TEST_F(SqliteFiles, OfANewerSchemaAreRefusedByStoreAndReader) {
  open();
  store.reset();
  plant("INSERT INTO migrations VALUES (99, 'from the future', 0)");
  const Error error = refusal();
  EXPECT_EQ(error.code, ErrorCode::kInvalidInput);
  EXPECT_THAT(error.message, HasSubstr("schema version 99 was written by a newer Chappe"));
  EXPECT_FALSE(SqliteMetaStore::open_reader(path));
}

TEST_F(SqliteFiles, OnNetworkFileSystemsAreRefused) {
  for (const long nfs_smb_9p : {0x6969L, 0xFF534D42L, 0x01021997L}) {
    EXPECT_NE(sqlite::network_filesystem(nfs_smb_9p), nullptr);
  }
  for (const long ext_xfs_btrfs_tmpfs : {0xEF53L, 0x58465342L, 0x9123683EL, 0x01021994L}) {
    EXPECT_EQ(sqlite::network_filesystem(ext_xfs_btrfs_tmpfs), nullptr);
  }
  EXPECT_TRUE(sqlite::refuse_network_filesystem(directory));
}

TEST_F(SqliteFiles, OfAnOlderSchemaAreBroughtUpStepByStep) {
  constexpr std::array kSteps{
      sqlite::Migration{1, "first", "CREATE TABLE t (a INTEGER) STRICT; INSERT INTO t VALUES (1)"},
      sqlite::Migration{2, "second", "ALTER TABLE t ADD COLUMN b INTEGER NOT NULL DEFAULT 5"},
      sqlite::Migration{3, "third", "UPDATE t SET b = a + b"}};
  sqlite::Connection connection(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  EXPECT_TRUE(sqlite::needs_migration(connection, kSteps));
  sqlite::migrate(connection, std::span(kSteps).first(1), {7});
  EXPECT_TRUE(sqlite::needs_migration(connection, kSteps));
  EXPECT_FALSE(sqlite::needs_migration(connection, std::span(kSteps).first(1)));
  sqlite::migrate(connection, kSteps, {8});
  EXPECT_FALSE(sqlite::needs_migration(connection, kSteps));
  EXPECT_EQ(ask("SELECT a || ' ' || b FROM t"), "1 6");
  EXPECT_EQ(ask("SELECT group_concat(version || ' ' || name || ' ' || applied_at_us) FROM migrations"),
            "1 first 7,2 second 8,3 third 8");
}

TEST_F(SqliteFiles, StayAsTheyWereWhereAMigrationFails) {
  constexpr std::array kSteps{sqlite::Migration{1, "first", "CREATE TABLE t (a INTEGER) STRICT"},
                              sqlite::Migration{2, "good", "ALTER TABLE t ADD COLUMN b INTEGER"},
                              sqlite::Migration{3, "broken", "DROP TABLE t; CREATE TABLE nonsense"}};
  sqlite::Connection connection(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite::migrate(connection, std::span(kSteps).first(1), {7});
  EXPECT_THROW(sqlite::migrate(connection, kSteps, {7}), sqlite::Failed);
  EXPECT_EQ(ask("SELECT max(version) FROM migrations"), "1");
  EXPECT_EQ(ask("SELECT count(*) FROM t"), "0");
}

TEST_F(SqliteFiles, ThatAreNoDatabaseAreRefusedWithWhatToDo) {
  std::ofstream(path) << std::string(8192, 'x');
  const Error error = refusal();
  EXPECT_EQ(error.code, ErrorCode::kCorrupt);
  EXPECT_THAT(error.message, AllOf(HasSubstr(path.native()), HasSubstr("no SQLite database")));
}

TEST_F(SqliteFiles, WithADamagedPageAreRefused) {
  open();
  Persist changes = first_changes();
  for (std::uint32_t i = 0; i < 5'000; ++i) changes.tasks.push_back(insertion(some_task(i)));
  commit(changes);
  store.reset();  // Moves the log into the file.
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path) - 3 * 4096));
  file << std::string(4096, '\xee');
  file.close();
  const Error error = refusal();
  EXPECT_EQ(error.code, ErrorCode::kCorrupt);
  EXPECT_THAT(error.message, HasSubstr("restore it from a backup"));
}

TEST_F(SqliteFiles, WithAStateThatNobodyKnowsAreRefusedWhenLoaded) {
  open();
  Persist changes = first_changes();
  changes.tasks = {insertion(some_task())};
  commit(changes);
  store.reset();
  plant("UPDATE tasks SET state = 77");
  open();
  EXPECT_EQ(store->load().error().code, ErrorCode::kCorrupt);
}

TEST_F(SqliteFiles, HoldNoTextWhereANumberBelongs) {
  open();
  commit(first_changes());
  EXPECT_THROW(plant("UPDATE runs SET state = 'running'"), sqlite::Failed);
}

TEST_F(SqliteFiles, HaveTheirLogAllocatedWhenIdleSoThatCommitsDoNotMakeItGrow) {
  open({.checkpoint_bytes = 3 << 20});
  const auto log_size = [&] { return std::filesystem::file_size(path.native() + "-wal"); };
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(store->checkpoint_if_due());
  EXPECT_EQ(log_size(), std::uint64_t{3} << 20);
  commit(first_changes());
  EXPECT_EQ(log_size(), std::uint64_t{3} << 20);
  EXPECT_EQ(reader()->runs({})->size(), 1U);
}

TEST_F(SqliteFiles, AreOneAfterACleanCloseSoThatABackupIsACopyOfIt) {
  open();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(store->checkpoint_if_due());
  commit(first_changes());
  store.reset();
  EXPECT_FALSE(std::filesystem::exists(path.native() + "-wal"));
  const std::filesystem::path copy = directory / "copy";
  std::filesystem::copy_file(path, copy);
  open();
  commit({.tasks = {insertion(some_task())}});
  store.reset();
  std::filesystem::rename(copy, path);
  open();
  EXPECT_EQ(load().runs.at(0).tasks.size(), 0U);
}

TEST_F(SqliteFiles, OnAFullDiskLoseNothingThatWasAcknowledged) {
  const std::filesystem::path disk = directory / "disk";
  std::filesystem::create_directory(disk);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=4m") != 0) {
    GTEST_SKIP() << "SKIPPED: no right to mount a small tmpfs; the disk-full case was not tested";
  }
  path = disk / "chappe.db";
  open();
  commit(first_changes());
  std::uint32_t committed = 0;
  Error error{};
  for (std::uint32_t i = 0; i < 20'000 && error.message.empty(); ++i) {
    TaskRow task = some_task(i);
    task.end.message.assign(1000, 'm');
    if (auto done = store->commit({.tasks = {insertion(task)}}); done) {
      ++committed;
    } else {
      error = done.error();
    }
  }
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  EXPECT_THAT(error.message, HasSubstr("disk is full"));
  EXPECT_THAT(store->commit({}).error().message, HasSubstr("restart to go on"));
  store.reset();
  EXPECT_EQ(mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT, "size=64m"), 0);  // Somebody makes room.
  open();
  const std::size_t rows = load().runs.at(0).tasks.size();
  EXPECT_GT(committed, 0U);
  EXPECT_GE(rows, committed);
  EXPECT_LE(rows, committed + 1U);  // The outcome of the failed one is unknown.
  EXPECT_EQ(ask("PRAGMA integrity_check"), "ok");
  store.reset();
  EXPECT_EQ(umount(disk.c_str()), 0);
}

TEST_F(SqliteFiles, AreLockedWhileOthersLookWhoHasThem) {
  const std::filesystem::path file = directory / "lock";
  EXPECT_FALSE(sqlite::StoreLock::find_holder(file));
  EXPECT_FALSE(std::filesystem::exists(file)) << "looking makes nothing";
  std::atomic<bool> done = false;
  std::thread looker([&] {
    while (!done) (void)sqlite::StoreLock::find_holder(file);
  });
  for (int i = 0; i < 300; ++i) {
    const auto lock = sqlite::StoreLock::take(file);
    EXPECT_TRUE(lock);
    EXPECT_EQ(sqlite::StoreLock::find_holder(file), getpid());
  }
  done = true;
  looker.join();
  EXPECT_FALSE(sqlite::StoreLock::find_holder(file));
}

}  // namespace
}  // namespace chappe
