#include "engine/base/ids.h"

#include <gtest/gtest.h>

namespace chappe {
namespace {

TEST(RunId, ReadsBackWhatItWritesInAnyCase) {
  const RunId id = RunId::make({1'700'000'000'000'000}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 250});
  const std::string text = id.text();
  ASSERT_EQ(text.size(), 26u);
  EXPECT_EQ(RunId::parse(text), id);
  std::string lower = text;
  for (char& c : lower) c = static_cast<char>(std::tolower(c));
  EXPECT_EQ(RunId::parse(lower), id);
}

TEST(RunId, IsWrittenAsUlidsAre) {
  RunId id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(0x11 * i);
  EXPECT_EQ(id.text(), "0024H36H2NCSVRH6DAQF6DVVQZ");
}

TEST(RunId, SortsByAgeAsTextToo) {
  const RunId earlier = RunId::make({1'700'000'000'000'000}, {255, 255, 255, 255, 255, 255, 255, 255, 255, 255});
  const RunId later = RunId::make({1'700'000'000'001'000}, {});
  EXPECT_LT(earlier, later);
  EXPECT_LT(earlier.text(), later.text());
}

TEST(RunId, RefusesWhatIsNoUlid) {
  EXPECT_FALSE(RunId::parse(""));
  EXPECT_FALSE(RunId::parse("01ARZ3NDEKTSV4RRFFQ69G5FA"));    // One short.
  EXPECT_FALSE(RunId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAVX"));  // One long.
  EXPECT_FALSE(RunId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAU"));   // U is no digit.
  EXPECT_FALSE(RunId::parse("81ARZ3NDEKTSV4RRFFQ69G5FAV"));   // More than 128 bits.
}

TEST(AttemptId, SortsByAgeAsText) {
  EXPECT_EQ(to_text(AttemptId{255}), "00000000000000ff");
  EXPECT_EQ(parse_attempt_id("00000000000000ff"), AttemptId{255});
  EXPECT_FALSE(parse_attempt_id("ff"));
  EXPECT_FALSE(parse_attempt_id("00000000000000FG"));
}

TEST(InstanceKey, FitsARowId) {
  const InstanceKey key{{7}, 0xfffffffeU};
  EXPECT_EQ(InstanceKey::from_row(key.row()), key);
  EXPECT_LT((InstanceKey{{1}, 0xffffffffU}.row()), (InstanceKey{{2}, 0}.row()));
}

}  // namespace
}  // namespace chappe
