// kill -9 in the middle of commits, checkpoints and openings: what was acknowledged is there, and nothing half.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <vector>

#include "tests/integration/storage/sqlite_fixture.h"

namespace chappe {
namespace {

constexpr int kKills = 30;
constexpr std::uint32_t kBatch = 20;
constexpr auto kChildTimeMax = std::chrono::seconds(60);

/// The child's life: opens, then commits batch after batch until it is killed, and says each batch's number in a pipe
/// once commit() has returned. Each batch inserts kBatch tasks and ends those of the batch before.
[[noreturn]] void write_until_killed(const std::filesystem::path& path, std::uint32_t batch, int pipe) {
  alarm(static_cast<unsigned>(std::chrono::seconds(kChildTimeMax).count()));
  auto store = SqliteMetaStore::open(path, {.checkpoint_bytes = 1 << 16, .log_bytes_max = 1 << 17});
  if (!store) _exit(1);
  for (;; ++batch) {
    Persist changes;
    for (std::uint32_t i = 0; i < kBatch; ++i) {
      changes.tasks.push_back(insertion(some_task(batch * kBatch + i)));
      if (batch == 0) continue;
      const TaskRow before = some_task((batch - 1) * kBatch + i);
      TaskRow ended = before;
      ended.state = TaskState::kSuccess;
      changes.tasks.push_back(change(before, ended));
    }
    if (!(*store)->commit(changes)) _exit(2);
    if (write(pipe, &batch, sizeof batch) != sizeof batch) _exit(3);
    if (batch % 8 == 0 && !(*store)->checkpoint_if_due()) _exit(4);
  }
}

struct Life {
  std::uint32_t acknowledged;  ///< Batches, over all lives.
  int status;                  ///< Of waitpid.
};

/// One life of a child that begins at batch `next`: killed once it has acknowledged `batches`, and `delay` later.
Life live(const std::filesystem::path& path, std::uint32_t next, std::uint32_t batches,
          std::chrono::microseconds delay) {
  int ends[2];
  if (pipe(ends) != 0) return {next, -1};
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    write_until_killed(path, next, ends[1]);
  }
  close(ends[1]);
  std::uint32_t acknowledged = next;
  std::uint32_t batch = 0;
  while (acknowledged < next + batches && read(ends[0], &batch, sizeof batch) == sizeof batch) acknowledged = batch + 1;
  const auto until = std::chrono::steady_clock::now() + delay;
  while (std::chrono::steady_clock::now() < until) {  // Not a wait for anything: it picks the instruction to die at.
  }
  kill(child, SIGKILL);
  Life life{acknowledged, 0};
  waitpid(child, &life.status, 0);
  while (read(ends[0], &batch, sizeof batch) == sizeof batch) life.acknowledged = batch + 1;
  close(ends[0]);
  return life;
}

/// Tasks 0 .. n-1 are there, whole batches of them, all ended but the last batch.
std::uint32_t check_rows(const std::vector<TaskRow>& tasks) {
  EXPECT_EQ(tasks.size() % kBatch, 0U);
  for (std::uint32_t i = 0; i < tasks.size(); ++i) {
    EXPECT_EQ(tasks[i].key.index, i);
    EXPECT_EQ(tasks[i].state, i + kBatch < tasks.size() ? TaskState::kSuccess : TaskState::kQueued);
  }
  return static_cast<std::uint32_t>(tasks.size() / kBatch);
}

using SqliteCrash = SqliteStoreTest;

TEST_F(SqliteCrash, LosesNothingAcknowledgedAndKeepsNothingHalf) {
  open();
  commit(first_changes());
  store.reset();
  std::uint32_t batches = 0;
  for (int kill_no = 0; kill_no < kKills; ++kill_no) {
    const auto delay = std::chrono::microseconds(kill_no * 97 % 1500);
    const Life life = live(path, batches, static_cast<std::uint32_t>(kill_no) % 7, delay);
    ASSERT_TRUE(WIFSIGNALED(life.status) && WTERMSIG(life.status) == SIGKILL) << "status " << life.status;
    open();
    EXPECT_EQ(ask("PRAGMA integrity_check"), "ok");
    const StoredState state = load();
    const std::uint32_t found = check_rows(state.runs.at(0).tasks);
    EXPECT_GE(found, life.acknowledged) << "kill " << kill_no;
    EXPECT_LE(found, life.acknowledged + 1) << "kill " << kill_no;
    batches = found;
    store.reset();
  }
  EXPECT_GT(batches, static_cast<std::uint32_t>(kKills));
  open();
  EXPECT_GT(load().epoch, static_cast<std::uint32_t>(kKills));
}

}  // namespace
}  // namespace chappe
