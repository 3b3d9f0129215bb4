// The bounds of a directory that is one object.
#include "worker/artifacts/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace chappe::artifacts {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Directory : public ::testing::Test {
 protected:
  Directory() {
    std::string name = (fs::temp_directory_path() / "chappe-pack-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    for (const char* part : {"from", "into"}) fs::create_directory(root_ / part);
    for (const char* file : {"a", "b", "c"}) std::ofstream(root_ / "from" / file) << file;
  }
  ~Directory() override { fs::remove_all(root_); }

  Folder folder(const char* part) const { return *Folder::open((root_ / part).string()); }
  static Result<void> pack_to(const File& archive, const Folder& from, std::uint64_t entries_max) {
    const auto write = [&](std::span<const std::byte> bytes) -> Result<void> {
      EXPECT_EQ(::write(archive.fd(), bytes.data(), bytes.size()), std::ssize(bytes));
      return {};
    };
    auto packed = pack(from, write, entries_max);
    EXPECT_EQ(::lseek(archive.fd(), 0, SEEK_SET), 0);
    return packed;
  }

  fs::path root_;
  File archive_{::memfd_create("archive", MFD_CLOEXEC)};
};

TEST_F(Directory, HoldsAsManyFilesAsItMay) {
  ASSERT_TRUE(pack_to(archive_, folder("from"), 3));
  EXPECT_TRUE(unpack(archive_.fd(), folder("into"), 3));
  EXPECT_TRUE(fs::exists(root_ / "into" / "c"));
}

TEST_F(Directory, IsNotPackedWithOneFileMore) {
  const auto packed = pack_to(archive_, folder("from"), 2);
  ASSERT_FALSE(packed);
  EXPECT_THAT(packed.error().message, HasSubstr("'c' is one more than a directory may hold"));
}

TEST_F(Directory, IsNotUnpackedWithOneFileMore) {
  ASSERT_TRUE(pack_to(archive_, folder("from"), 3));
  const auto unpacked = unpack(archive_.fd(), folder("into"), 2);
  ASSERT_FALSE(unpacked);
  EXPECT_THAT(unpacked.error().message, HasSubstr("'c' is one more than a directory may hold"));
}

/// As a disk that is full after the first of them: what an entry lacks is not written.
la_ssize_t write_first_bytes(archive*, void* fd, const void* bytes, std::size_t size) {
  constexpr off_t kMost = 64 << 10;
  const int to = *static_cast<int*>(fd);
  return ::lseek(to, 0, SEEK_CUR) < kMost ? ::write(to, bytes, size) : -1;
}

// A few bytes may say that more follows than any disk holds.
TEST_F(Directory, IsNotUnpackedWhereTheDiskHasNoRoom) {
  archive* writer = archive_write_new();
  archive_write_set_format_pax_restricted(writer);
  archive_write_set_bytes_per_block(writer, 0);  // What is written is there at once.
  int fd = archive_.fd();
  archive_write_open(writer, &fd, nullptr, &write_first_bytes, nullptr);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, "huge");
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_size(entry, std::int64_t{1} << 60);
  ASSERT_EQ(archive_write_header(writer, entry), ARCHIVE_OK);
  archive_entry_free(entry);
  archive_write_free(writer);
  ASSERT_EQ(::lseek(archive_.fd(), 0, SEEK_SET), 0);
  const auto unpacked = unpack(archive_.fd(), folder("into"));
  ASSERT_FALSE(unpacked);
  EXPECT_THAT(unpacked.error().message, HasSubstr("'huge' in the archive has 1152921504606846976 bytes, and the disk"));
}

}  // namespace
}  // namespace chappe::artifacts
