// Each write and each fsync fails once, at its first, second, third ... call, until a whole story passes without one.
#include <cstdint>

#include "tests/integration/storage/disk.h"
#include "tests/integration/storage/sqlite_fixture.h"

namespace chappe {
namespace {

using testing::HasSubstr;

enum class Fault { kWrite, kSync, kSyncDoneButFailed };

/// A disk of which one call fails.
class FaultyDisk : public Disk {
 public:
  /// The `nth` call of this kind from now on fails, and only that one.
  void fail(Fault fault, int nth) { fault_ = fault, left_ = nth; }
  bool has_failed() const { return left_ == 0; }

 private:
  bool is_due(bool kind) { return kind && left_ > 0 && --left_ == 0; }
  int write(const File& file, const void* bytes, int size, sqlite3_int64 offset) override {
    if (is_due(fault_ == Fault::kWrite)) return SQLITE_IOERR_WRITE;
    return Disk::write(file, bytes, size, offset);
  }
  int sync(const File& file, int flags) override {
    const bool fails = is_due(fault_ != Fault::kWrite);
    if (fails && fault_ == Fault::kSync) return SQLITE_IOERR_FSYNC;
    const int code = Disk::sync(file, flags);
    return fails ? SQLITE_IOERR_FSYNC : code;
  }

  Fault fault_ = Fault::kWrite;
  int left_ = -1;
};

class SqliteFaults : public SqliteStoreTest, public testing::WithParamInterface<Fault> {
 protected:
  SqliteFaults() {
    if (std::filesystem::is_directory("/dev/shm")) root = "/dev/shm/";  // Hundreds of stores, none of which must last.
  }

  static constexpr std::uint32_t kCommits = 12;
  static constexpr int kCallsMax = 2'000;

  /// Opens and commits tasks 0, 1, 2 ... with a checkpoint now and then; stops at the first error. Returns how many
  /// commits were acknowledged; none, also not the opening, where `opened` is false.
  std::uint32_t tell_story() {
    auto opened = SqliteMetaStore::open(path, {.checkpoint_bytes = 1 << 15, .log_bytes_max = 1 << 16});
    if (!opened) return 0;
    for (std::uint32_t i = 0; i < kCommits; ++i) {
      Persist changes = i == 0 ? first_changes() : Persist{};
      changes.tasks = {insertion(some_task(i))};
      changes.tasks[0].row.end.message.assign(9'000, 'm');
      if (auto done = (*opened)->commit(changes); !done) {
        EXPECT_THAT((*opened)->commit({}).error().message, HasSubstr("restart to go on"));
        return i;
      }
      if (i % 4 == 3 && !(*opened)->checkpoint_if_due()) return i + 1;
    }
    return kCommits;
  }
};

TEST_P(SqliteFaults, LoseNothingAcknowledgedWhicheverCallFails) {
  int nth = 1;
  for (;; ++nth) {
    ASSERT_LT(nth, kCallsMax);
    FaultyDisk disk;
    disk.fail(GetParam(), nth);
    const std::uint32_t acknowledged = tell_story();
    const bool failed = disk.has_failed();
    disk.fail(GetParam(), -1);
    open();
    EXPECT_EQ(ask("PRAGMA integrity_check"), "ok");
    const StoredState state = load();
    const std::size_t rows = state.runs.empty() ? 0 : state.runs[0].tasks.size();
    EXPECT_GE(rows, acknowledged) << "call " << nth;
    EXPECT_LE(rows, acknowledged + 1) << "call " << nth;
    TearDown();
    SetUp();
    if (!failed) break;
  }
  EXPECT_GT(nth, 12);  // There was something to fail.
}

INSTANTIATE_TEST_SUITE_P(EachKind, SqliteFaults,
                         testing::Values(Fault::kWrite, Fault::kSync, Fault::kSyncDoneButFailed));

}  // namespace
}  // namespace chappe
