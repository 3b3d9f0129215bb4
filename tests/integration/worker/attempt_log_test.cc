// One attempt's log: what is kept, what is told live, and the bounds of both.
#include "worker/app/attempt_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace chappe::worker {
namespace {

using namespace std::chrono_literals;

class LogDesk {
 public:
  explicit LogDesk(LogBounds bounds = {}) : log(file().string(), bounds) {}
  ~LogDesk() { std::filesystem::remove(file()); }

  static std::filesystem::path file() {
    return std::filesystem::temp_directory_path() / ("chappe-log-" + std::to_string(::getpid()));
  }
  void append(std::string_view text) { log.append(std::as_bytes(std::span(text.data(), text.size())), now); }
  std::string stored() const {
    std::string text;
    const auto read = log.read_stored([&](std::span<const std::byte> bytes) {
      text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return Result<void>();
    });
    EXPECT_TRUE(read.has_value());
    EXPECT_EQ(text.size(), log.stored_size());
    return text;
  }

  MonoTime now{1'000'000};
  AttemptLog log;
};

constexpr LogBounds kTiny{.memory_max = 4,
                          .head_max = 10,
                          .tail_max = 5,
                          .chunk_max = 8,
                          .rate = 8,
                          .chunk_delay = std::chrono::milliseconds(20)};

TEST(AttemptLog, KeepsAShortLogInMemory) {
  LogDesk desk;
  EXPECT_TRUE(desk.log.empty());
  desk.append("one\n");
  desk.append("two\n");
  EXPECT_EQ(desk.stored(), "one\ntwo\n");
  EXPECT_FALSE(std::filesystem::exists(LogDesk::file()));
}

TEST(AttemptLog, KeepsALongerOneInAFile) {
  LogDesk desk(kTiny);
  desk.append("abc");
  desk.append("defghij");
  EXPECT_TRUE(std::filesystem::exists(LogDesk::file()));
  EXPECT_EQ(desk.stored(), "abcdefghij");
}

TEST(AttemptLog, KeepsAllOfItUpToBothBoundsTogether) {
  LogDesk desk(kTiny);
  desk.append("abcdefghijklmno");
  EXPECT_EQ(desk.stored(), "abcdefghijklmno");
}

TEST(AttemptLog, LeavesTheMiddleOutOfALogThatIsTooLong) {
  LogDesk desk(kTiny);
  desk.append("abcdefghijklmnop");
  EXPECT_EQ(desk.stored(), "abcdefghij\n[chappe: 1 bytes are left out here]\nlmnop");
  for (int i = 0; i < 10; ++i) desk.append("0123456789");
  EXPECT_EQ(desk.stored(), "abcdefghij\n[chappe: 101 bytes are left out here]\n56789");
}

TEST(AttemptLog, SaysThatTheDiskTookNothing) {
  AttemptLog log("/nowhere/log", kTiny);
  log.append(std::as_bytes(std::span("abcdefgh", 8)), {1});
  const auto read = log.read_stored([](std::span<const std::byte>) { return Result<void>(); });
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().message, "write /nowhere/log: No such file or directory");
}

TEST(AttemptLog, TellsLiveAfterAMomentSoThatPiecesCollect) {
  LogDesk desk;
  EXPECT_FALSE(desk.log.chunk_due().has_value());
  desk.append("one ");
  EXPECT_FALSE(desk.log.next_chunk(desk.now, false).has_value());
  desk.append("two");
  desk.now = *desk.log.chunk_due();
  const auto chunk = desk.log.next_chunk(desk.now, false);
  ASSERT_TRUE(chunk.has_value());
  EXPECT_EQ(chunk->offset, 0U);
  EXPECT_EQ(chunk->data, "one two");
}

TEST(AttemptLog, LeavesAGapWhereMoreComesThanMayBeTold) {
  LogDesk desk(kTiny);
  desk.append("abcdefgh");  // A full piece goes at once, and is a second's worth.
  EXPECT_EQ(desk.log.next_chunk(desk.now, false)->data, "abcdefgh");
  desk.append("ijklmnopqrst");
  EXPECT_FALSE(desk.log.next_chunk(desk.now + 900ms, false).has_value());
  desk.append("lost");
  auto chunk = desk.log.next_chunk(desk.now + 1s, false);
  ASSERT_TRUE(chunk.has_value());
  EXPECT_EQ(chunk->offset, 8U);
  EXPECT_EQ(chunk->data, "ijklmnop");
  desk.append("end");
  chunk = desk.log.next_chunk(desk.now + 10s, false);
  EXPECT_EQ(chunk->offset, 24U);
  EXPECT_EQ(chunk->data, "end");
}

TEST(AttemptLog, TellsWhatIsLeftWhenTheAttemptIsOver) {
  LogDesk desk;
  desk.append("last words");
  EXPECT_EQ(desk.log.next_chunk(desk.now, true)->data, "last words");
  EXPECT_FALSE(desk.log.next_chunk(desk.now, true).has_value());
}

}  // namespace
}  // namespace chappe::worker
