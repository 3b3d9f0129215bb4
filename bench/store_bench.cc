// What the metadata store costs, beside the machine's own limit: one fdatasync of a file that does not grow.
//
//   store_bench [DIRECTORY]     DIRECTORY: on the disk to measure; the current one where not given.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "storage/sqlite/sqlite_meta_store.h"

namespace chappe {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

template <typename T>
T take(Result<T> result) {
  if (result) {
    if constexpr (!std::is_void_v<T>) return std::move(*result);
    return T();
  }
  fmt::print(stderr, "store_bench: {}\n", result.error().message);
  std::exit(1);
}

/// "p50 120 us, p99 300 us, max 2 ms" of durations in seconds.
std::string percentiles(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) { return times[static_cast<std::size_t>(share * double(times.size() - 1))] * 1e6; };
  return fmt::format("p50 {:.0f} us, p99 {:.0f} us, max {:.1f} ms", at(0.5), at(0.99), at(1) / 1e3);
}

std::vector<double> timed(int count, const auto& work) {
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    const auto start = Clock::now();
    work(i);
    times.push_back(seconds_since(start));
  }
  return times;
}

/// The floor of a commit: 8 KiB written over allocated blocks, then fdatasync.
void measure_disk(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / "floor";
  const int descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const std::vector<char> block(8192, 'x');
  constexpr int kCount = 2'000;
  const auto write_at = [&](int i) {
    if (pwrite(descriptor, block.data(), block.size(), i * off_t{8192}) < 0 || fdatasync(descriptor) != 0) std::exit(1);
  };
  const auto growing = timed(kCount, write_at);
  const auto again = timed(kCount, write_at);
  close(descriptor);
  fmt::print("floor: write 8 KiB + fdatasync, file that grows    {}\n", percentiles(growing));
  fmt::print("floor: write 8 KiB + fdatasync, allocated blocks   {}\n", percentiles(again));
}

TaskChange assigned(InstanceKey key) {
  TaskChange change;
  change.row = {.key = key,
                .state = TaskState::kQueued,
                .attempt = {(std::uint64_t{1} << 32) + key.index + 1},
                .attempt_no = 1,
                .worker = {1 + key.index % 2},
                .ready_at = {1'700'000'000'000'000},
                .queued_at = {1'700'000'000'000'000 + key.index}};
  return change;
}

TaskChange finished(InstanceKey key) {
  TaskChange change = assigned(key);
  change.expect_row = true;
  change.expect_state = change.row.state;
  change.expect_attempt = change.row.attempt;
  change.row.state = TaskState::kSuccess;
  change.row.end.started_at = {1'700'000'000'100'000 + key.index};
  change.row.end.ended_at = {1'700'000'000'200'000 + key.index};
  change.row.end.usage = {.cpu_us = 1234, .peak_memory_bytes = 5'000'000, .bytes_in = 0, .bytes_out = 100};
  return change;
}

class StoreBench {
 public:
  explicit StoreBench(std::filesystem::path directory) : path_(std::move(directory) / "chappe.db") { open(); }

  void open() {
    store_.reset();
    const auto start = Clock::now();
    store_ = take(SqliteMetaStore::open(path_));
    fmt::print("open: {:.1f} ms\n", seconds_since(start) * 1e3);
  }

  /// A run of `tasks` tasks: of each batch, half the changes begin tasks and half end those of `depth` batches before.
  void measure_run(std::uint32_t tasks, std::uint32_t batch, std::uint32_t depth) {
    const RunSeq run = start_run(tasks);
    const auto start = Clock::now();
    std::vector<double> times;
    for (std::uint32_t first = 0; first < tasks + depth * batch; first += batch) {
      Persist changes;
      for (std::uint32_t i = first; i < first + batch; ++i) {
        if (i >= depth * batch) changes.tasks.push_back(finished({run, i - depth * batch}));
        if (i < tasks) changes.tasks.push_back(assigned({run, i}));
      }
      const auto begin = Clock::now();
      take(store_->commit(changes));
      times.push_back(seconds_since(begin));
    }
    const double busy = seconds_since(start);
    fmt::print("{:>7} tasks, batches of {:>5}, {:>3} deep: {:>8.0f} task changes/s; commit {}\n", tasks, 2 * batch,
               depth, 2.0 * tasks / busy, percentiles(times));
    take(store_->checkpoint_if_due());
  }

  /// A chain: each commit ends one task and begins the next.
  void measure_chain(std::uint32_t tasks) {
    const RunSeq run = start_run(tasks);
    take(store_->commit({.tasks = {assigned({run, 0})}}));
    const auto times = timed(static_cast<int>(tasks) - 1, [&](int i) {
      const auto index = static_cast<std::uint32_t>(i);
      take(store_->commit({.tasks = {finished({run, index}), assigned({run, index + 1})}}));
    });
    fmt::print("commit of a chain's hop (2 changes):               {}\n", percentiles(times));
  }

  void measure_idle() {
    const auto times = timed(8, [&](int) { take(store_->checkpoint_if_due()); });
    fmt::print("eight calls of checkpoint_if_due(), idle:          {}\n", percentiles(times));
  }

  void measure_load() {
    open();
    const auto start = Clock::now();
    const StoredState state = take(store_->load());
    std::size_t rows = 0;
    for (const StoredRun& run : state.runs) rows += run.tasks.size();
    const double busy = seconds_since(start);
    fmt::print("load: {} task rows in {:.3f} s\n", rows, busy);
  }

 private:
  RunSeq start_run(std::uint32_t instances) {
    ++runs_;
    RunRow run{.seq = {runs_},
               .id = RunId::make({1'700'000'000'000'000}, {static_cast<std::uint8_t>(runs_)}),
               .dag = "bench",
               .dag_version = "v"};
    run.params_json = "{}";
    run.state = RunState::kRunning;
    run.instances = instances;
    take(store_->commit({.dag_versions = {{.version = "v", .dag = "bench"}}, .runs = {run}}));
    return run.seq;
  }

  std::filesystem::path path_;
  std::unique_ptr<SqliteMetaStore> store_;
  std::uint32_t runs_ = 0;
};

int run(const std::filesystem::path& where) {
  std::string pattern = (where / "store-bench-XXXXXX").native();
  if (mkdtemp(pattern.data()) == nullptr) return 1;
  measure_disk(pattern);
  StoreBench bench(pattern);
  bench.measure_chain(1'000);
  bench.measure_idle();
  bench.measure_chain(1'000);
  bench.measure_run(10'000, 500, 2);
  bench.measure_run(100'000, 500, 2);
  bench.measure_run(100'000, 500, 20);
  bench.measure_run(100'000, 50, 2);
  bench.measure_run(1'000'000, 500, 4);
  bench.measure_chain(1'000);
  bench.measure_load();
  std::filesystem::remove_all(pattern);
  return 0;
}

}  // namespace
}  // namespace chappe

int main(int argc, char** argv) { return chappe::run(argc > 1 ? argv[1] : "."); }
