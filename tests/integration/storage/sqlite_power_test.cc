// The power goes at any write, truncation, sync or removal: what was not synced is there, or not, or in part.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <span>
#include <vector>

#include "tests/integration/storage/disk.h"
#include "tests/integration/storage/sqlite_fixture.h"

namespace chappe {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::size_t kSector = 512;

/// Remembers what of its files is sure to last, and what was done to them since.
class ForgetfulDisk : public Disk {
 public:
  /// `before_call`: the power might go now.
  explicit ForgetfulDisk(std::function<void()> before_call) : before_call_(std::move(before_call)) {}

  /// What might be found in `directory` if the power went now: of what was not synced each change came to last or did
  /// not, of each write each sector.
  void leave_in(const std::filesystem::path& directory, std::minstd_rand& chance) const {
    const auto by_chance = [&] { return chance() % 2 == 0; };
    for (const auto& [name, file] : files_) {
      std::optional<Bytes> found = file.lasting;
      for (const Change& change : file.since) apply(change, found, by_chance);
      if (!found) continue;
      std::ofstream out(directory / std::filesystem::path(name).filename(), std::ios::binary);
      out.write(reinterpret_cast<const char*>(found->data()), static_cast<std::streamsize>(found->size()));
    }
  }

 private:
  struct Change {
    enum class Kind { kCreate, kWrite, kTruncate, kRemove } kind;
    std::size_t at = 0;  ///< Offset, or new size.
    Bytes bytes{};
  };
  struct Past {
    std::optional<Bytes> lasting;  ///< nullopt: there is no such file.
    std::vector<Change> since;
  };

  static void apply(const Change& change, std::optional<Bytes>& found, const std::function<bool()>& comes_to_last) {
    switch (change.kind) {
      case Change::Kind::kCreate:
        if (!found && comes_to_last()) found.emplace();
        break;
      case Change::Kind::kRemove:
        if (comes_to_last()) found.reset();
        break;
      case Change::Kind::kTruncate:
        if (found && comes_to_last()) found->resize(change.at);
        break;
      case Change::Kind::kWrite:
        for (std::size_t done = 0, size = 0; found && done < change.bytes.size(); done += size) {
          size = std::min(change.bytes.size() - done, kSector - (change.at + done) % kSector);
          if (!comes_to_last()) continue;
          found->resize(std::max(found->size(), change.at + done + size));
          std::copy_n(change.bytes.begin() + static_cast<std::ptrdiff_t>(done), size,
                      found->begin() + static_cast<std::ptrdiff_t>(change.at + done));
        }
        break;
    }
  }

  static void settle(Past& file) {
    for (const Change& change : file.since) apply(change, file.lasting, [] { return true; });
    file.since.clear();
  }

  void settle_removals() {
    for (auto& [name, file] : files_) {
      const auto last = std::find_if(file.since.rbegin(), file.since.rend(),
                                     [](const Change& change) { return change.kind == Change::Kind::kRemove; });
      if (last == file.since.rend()) continue;
      file.lasting.reset();
      file.since.erase(file.since.begin(), last.base());
    }
  }

  void remember(const std::string& name, Change change) {
    before_call_();
    files_[name].since.push_back(std::move(change));
  }

  void opened(const File& file) override {
    const auto known = files_.find(file.name);
    const bool is_new = known == files_.end() || (!known->second.lasting && known->second.since.empty());
    if (!file.name.empty() && is_new) remember(file.name, {.kind = Change::Kind::kCreate});
  }
  int write(const File& file, const void* bytes, int size, sqlite3_int64 offset) override {
    const std::span written(static_cast<const std::byte*>(bytes), static_cast<std::size_t>(size));
    remember(file.name, {.kind = Change::Kind::kWrite,
                         .at = static_cast<std::size_t>(offset),
                         .bytes = Bytes(written.begin(), written.end())});
    return Disk::write(file, bytes, size, offset);
  }
  int truncate(const File& file, sqlite3_int64 size) override {
    remember(file.name, {.kind = Change::Kind::kTruncate, .at = static_cast<std::size_t>(size)});
    return Disk::truncate(file, size);
  }
  /// Of a file that is new SQLite syncs the directory as well.
  int sync(const File& file, int flags) override {
    before_call_();
    Past& past = files_[file.name];
    if (!past.lasting) settle_removals();
    settle(past);
    return Disk::sync(file, flags);
  }
  int remove(const char* name, bool and_sync) override {
    remember(name, {.kind = Change::Kind::kRemove});
    if (and_sync) settle(files_[name]);
    return Disk::remove(name, and_sync);
  }

  std::function<void()> before_call_;
  std::map<std::string, Past> files_;
};

class SqlitePower : public SqliteStoreTest {
 protected:
  SqlitePower() {
    if (std::filesystem::is_directory("/dev/shm")) root = "/dev/shm/";  // Hundreds of stores, none of which must last.
  }

  /// What the power left behind at one moment.
  struct Remains {
    std::filesystem::path directory;
    std::uint32_t acknowledged;  ///< Commits, until then.
  };

  /// Commits tasks 0, 1, 2 ... with a checkpoint now and then, and leaves remains at each call to the disk.
  void tell_story(std::uint32_t commits, std::uint32_t seed) {
    std::minstd_rand chance(seed);
    std::uint32_t acknowledged = 0;
    const ForgetfulDisk* at = nullptr;
    ForgetfulDisk disk([&] {
      if (at == nullptr || chance() % kOneIn != 0) return;
      const auto place = directory / std::to_string(remains.size());
      std::filesystem::create_directory(place);
      at->leave_in(place, chance);
      remains.push_back({place, acknowledged});
    });
    at = &disk;
    auto opened = SqliteMetaStore::open(path, {.checkpoint_bytes = 1 << 15, .log_bytes_max = 1 << 16});
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    for (std::uint32_t i = 0; i < commits; ++i) {
      Persist changes = i == 0 ? first_changes() : Persist{};
      changes.tasks = {insertion(some_task(i))};
      changes.tasks[0].row.end.message.assign(9'000, 'm');
      ASSERT_TRUE((*opened)->commit(changes).has_value());
      acknowledged = i + 1;
      if (i % 4 != 3) continue;
      ASSERT_TRUE((*opened)->checkpoint_if_due().has_value());
    }
    opened->reset();
  }

  static constexpr std::uint32_t kOneIn = 2;
  std::vector<Remains> remains;
};

TEST_F(SqlitePower, LosesNothingAcknowledgedAndKeepsNothingHalf) {
  constexpr std::uint32_t kCommits = 24;
  tell_story(kCommits, 1);
  ASSERT_GT(remains.size(), 100U);  // There was something to lose.
  std::uint32_t with_rows = 0;
  for (const Remains& each : remains) {
    path = each.directory / "chappe.db";
    open();
    EXPECT_EQ(ask("PRAGMA integrity_check"), "ok");
    const StoredState state = load();
    const std::size_t rows = state.runs.empty() ? 0 : state.runs[0].tasks.size();
    EXPECT_GE(rows, each.acknowledged) << each.directory;
    EXPECT_LE(rows, each.acknowledged + 1) << each.directory;
    with_rows += rows > 0 ? 1 : 0;
    store.reset();
  }
  EXPECT_GT(with_rows, remains.size() / 2);
}

}  // namespace
}  // namespace chappe
