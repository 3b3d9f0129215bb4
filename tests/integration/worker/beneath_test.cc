// Nothing outside the folder can be reached: random trees full of links, random paths, every operation; and links that
// change while they are followed.
#include "worker/artifacts/beneath.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <thread>

namespace chappe::artifacts {
namespace {

namespace fs = std::filesystem;

/// A folder, what lies beside it, and a look at both.
class FolderDesk {
 public:
  FolderDesk() {
    std::string name = (fs::temp_directory_path() / "chappe-beneath-XXXXXX").string();
    top_ = fs::canonical(::mkdtemp(name.data()));
    fs::create_directories(root());
    fs::create_directories(outside() / "a" / "b");
    for (const char* file : {"a/f", "a/b/f", "f", "b"}) std::ofstream(outside() / file) << "canary";
  }
  ~FolderDesk() { fs::remove_all(top_); }

  fs::path root() const { return top_ / "root"; }
  fs::path outside() const { return top_ / "outside"; }

  /// Everything beside the folder: type, and content or target.
  std::map<std::string, std::string> world() const {
    std::map<std::string, std::string> seen;
    for (const auto& entry : fs::recursive_directory_iterator(outside())) {
      std::string told = entry.is_symlink() ? "link" : entry.is_directory() ? "folder" : "file ";
      if (entry.is_regular_file() && !entry.is_symlink()) {
        std::ifstream in(entry.path());
        told += std::string(std::istreambuf_iterator<char>(in), {});
      }
      seen[entry.path().string()] = told;
    }
    return seen;
  }

  static fs::path path_of(const File& file) { return fs::read_symlink("/proc/self/fd/" + std::to_string(file.fd())); }
  bool is_beneath(const File& file) const {
    const std::string path = path_of(file).string();
    return path == root().string() || path.starts_with(root().string() + "/");
  }

 private:
  fs::path top_;
};

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(engine_); }
  template <typename List>
  std::string one_of(const List& list) {
    return list[below(list.size())];
  }

 private:
  std::mt19937 engine_;
};

std::string random_path(Random& random) {
  static const std::vector<std::string> segments{"a", "b", "c", "f", "l", "m", "..", ".", "", "a", "b", "l", "m"};
  std::string path;
  for (std::size_t left = 1 + random.below(4); left > 0; --left) {
    path += (path.empty() ? "" : "/") + random.one_of(segments);
  }
  return path;
}

std::string random_target(Random& random, const FolderDesk& desk) {
  const std::vector<std::string> targets{desk.outside().string(),
                                         desk.outside().string() + "/a",
                                         "..",
                                         "../outside",
                                         "../../outside",
                                         "/",
                                         "/proc/self/root",
                                         "/proc/self/cwd",
                                         "/dev/null",
                                         "l",
                                         "m",
                                         ".",
                                         "a",
                                         "a/../../outside",
                                         "../root",
                                         "../root/../outside/f",
                                         "b/..",
                                         ""};
  return random.one_of(targets);
}

void plant(Random& random, const FolderDesk& desk) {
  for (int i = 0; i < 12; ++i) {
    const fs::path parent = desk.root() / random.one_of(std::vector<std::string>{".", "a", "b", "c"});
    if (fs::is_symlink(parent)) continue;  // Planting must not lead out itself.
    const fs::path where = parent / random.one_of(std::vector<std::string>{"a", "b", "c", "f", "l", "m"});
    std::error_code ignored;  // The place may be taken: then the tree is another one.
    if (random.below(3) == 0) {
      fs::create_directory(where, ignored);
    } else {
      (void)::symlink(random_target(random, desk).c_str(), where.c_str());
    }
  }
}

/// One operation by chance; what it opened.
Result<File> act(Random& random, const Folder& folder, const std::string& path, const FolderDesk& desk) {
  switch (random.below(6)) {
    case 0:
      return folder.open_file(path, O_RDONLY | O_NONBLOCK);
    case 1:
      return folder.open_file(path, O_WRONLY | O_NONBLOCK);
    case 2:
      return folder.create_file(path, 0600);
    case 3:
      return folder.make_folder(path);
    case 4:
      (void)folder.make_link(path, random_target(random, desk));
      return File();
    default:
      (void)folder.remove_file(path);
      return File();
  }
}

TEST(Beneath, NoPathLeadsOutOfAnyTreeOfLinks) {
  constexpr unsigned kTrees = 150;
  constexpr int kActions = 60;
  for (unsigned seed = 1; seed <= kTrees; ++seed) {
    Random random(seed);
    const FolderDesk desk;
    plant(random, desk);
    const Folder folder = *Folder::open(desk.root().string());
    const auto before = desk.world();
    for (int i = 0; i < kActions; ++i) {
      const std::string path = random_path(random);
      const Result<File> opened = act(random, folder, path, desk);
      if (opened && opened->is_open()) {
        ASSERT_TRUE(desk.is_beneath(*opened))
            << path << " led to " << FolderDesk::path_of(*opened) << ", seed " << seed;
      }
    }
    ASSERT_EQ(desk.world(), before) << "seed " << seed;
  }
}

/// Swaps a folder and a link that leads out, as fast as it can, until it is told to stop.
class Swapper {
 public:
  explicit Swapper(const FolderDesk& desk) {
    fs::create_directory(desk.root() / "way");
    std::ofstream(desk.root() / "way" / "f") << "inside";
    fs::create_directory_symlink(desk.outside() / "a", desk.root() / "other");
    thread_ = std::thread([this, root = desk.root().string()] {
      const std::string one = root + "/way", two = root + "/other";
      while (!stop_) {
        constexpr unsigned kExchange = 2;  // RENAME_EXCHANGE
        (void)::syscall(SYS_renameat2, AT_FDCWD, one.c_str(), AT_FDCWD, two.c_str(), kExchange);
        ++swaps_;
      }
    });
  }
  ~Swapper() {
    stop_ = true;
    thread_.join();
  }
  std::uint64_t swaps() const { return swaps_; }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> swaps_ = 0;
  std::thread thread_;
};

TEST(Beneath, NoLinkThatChangesUnderwayLeadsOut) {
  const FolderDesk desk;
  const auto before = desk.world();
  const Folder folder = *Folder::open(desk.root().string());
  const Swapper swapper(desk);
  int opened = 0;
  for (int i = 0; i < 3'000 || (swapper.swaps() < 1'000 && i < 300'000); ++i) {
    if (const auto file = folder.open_file("way/f", O_RDONLY)) {
      ++opened;
      char text[7] = {};
      ASSERT_EQ(::read(file->fd(), text, 6), 6);
      ASSERT_STREQ(text, "inside");
    }
    const std::string name = "way/new" + std::to_string(i);
    (void)folder.create_file(name, 0600);
    (void)folder.remove_file(name);
    (void)folder.remove_file("way/b/f");
  }
  EXPECT_GT(opened, 0);
  EXPECT_EQ(desk.world(), before) << "something was made or removed outside";
}

}  // namespace
}  // namespace chappe::artifacts
