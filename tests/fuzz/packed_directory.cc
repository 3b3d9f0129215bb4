// Archives that the object store hands a worker as directories: whatever is in them, nothing is written beside the
// directory, no link leads out of it, and what was unpacked can be packed. The input is a tar, or after a 'Z' what its
// compression would have made.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/fuzz/target.h"
#include "worker/artifacts/pack.h"

namespace chappe::fuzz {

namespace {

namespace fs = std::filesystem;
using artifacts::Folder;

constexpr rlim_t kFileMax = 8 << 20;  // A few bytes may unpack to terabytes; the disk's end is an error like others.

/// A directory between two neighbours, that must stay as they are.
class Place {
 public:
  Place() {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{kFileMax, kFileMax};
    CHAPPE_ASSERT(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    std::string name = (fs::temp_directory_path() / "chappe-fuzz-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    std::ofstream(root_ / "neighbour") << "untouched";
  }
  ~Place() { fs::remove_all(root_); }

  fs::path fresh() const {
    fs::remove_all(root_ / "in");
    fs::create_directory(root_ / "in");
    return root_ / "in";
  }

  void check_neighbours() const {
    std::string text;
    std::ifstream(root_ / "neighbour") >> text;
    CHAPPE_ASSERT(text == "untouched");
    CHAPPE_ASSERT(std::distance(fs::directory_iterator(root_), fs::directory_iterator()) == 2);
  }

 private:
  fs::path root_;
};

void check_links(const fs::path& directory) {
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_symlink()) continue;
    const fs::path leads = (entry.path().parent_path() / fs::read_symlink(entry.path())).lexically_normal();
    CHAPPE_ASSERT(leads.string().starts_with(directory.string()));
  }
}

/// The bytes as a Zstandard frame of stored blocks (RFC 8878), so that what is changed in a tar reaches its reader.
std::string stored(std::string_view bytes) {
  constexpr std::size_t kBlockMax = 128 << 10;
  std::string frame("\x28\xb5\x2f\xfd\x00\x58", 6);
  do {
    const std::string_view block = bytes.substr(0, kBlockMax);
    bytes.remove_prefix(block.size());
    const std::size_t head = block.size() << 3 | (bytes.empty() ? 1 : 0);
    for (const int shift : {0, 8, 16}) frame += static_cast<char>(head >> shift & 0xff);
    frame += block;
  } while (!bytes.empty());
  return frame;
}

}  // namespace

FUZZ_TARGET(packed_directory) {
  static const Place place;
  const std::string bytes = input.starts_with('Z') ? std::string(input.substr(1)) : stored(input);
  const artifacts::File archive(::memfd_create("archive", MFD_CLOEXEC));
  CHAPPE_ASSERT(::write(archive.fd(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  CHAPPE_ASSERT(::lseek(archive.fd(), 0, SEEK_SET) == 0);
  const fs::path directory = place.fresh();
  const auto folder = Folder::open(directory.string());
  CHAPPE_ASSERT(folder);
  const auto done = artifacts::unpack(archive.fd(), *folder);
  if (!done) check_error(done.error());
  place.check_neighbours();
  check_links(directory);
  if (done) CHAPPE_ASSERT(artifacts::pack(*folder, [](std::span<const std::byte>) { return Result<void>(); }));
}

}  // namespace chappe::fuzz
