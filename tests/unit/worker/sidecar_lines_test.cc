// What sidecars write, as it stands in the log of their attempt.
#include <gtest/gtest.h>

#include "worker/container/holder.h"
#include "worker/container/sidecars.h"

namespace chappe::container {
namespace {

TEST(SidecarLines, AreWholeAndBehindTheirName) {
  SidecarLines lines("db");
  EXPECT_EQ(lines.take("one\ntw"), "[db] one\n");
  EXPECT_EQ(lines.take("o\n\nthr"), "[db] two\n[db] \n");
  EXPECT_EQ(lines.rest(), "[db] thr\n");
  EXPECT_EQ(lines.rest(), "");
}

TEST(SidecarLines, AreCutWhereTheyNeverEnd) {
  SidecarLines lines("db");
  const std::string out = lines.take(std::string(kSidecarLineMax + 1, 'x'));
  EXPECT_EQ(out, "[db] " + std::string(kSidecarLineMax, 'x') + "\n");
  EXPECT_EQ(lines.rest(), "[db] x\n");
}

TEST(SidecarLines, AreLeftOutPastTheirBound) {
  SidecarLines lines("a");
  std::string all;
  const std::string line(1023, 'x');
  for (std::size_t i = 0; i < kSidecarLogMax / 1024; ++i) all += lines.take(line + "\n");
  EXPECT_EQ(all.size(), (kSidecarLogMax / 1024) * (1024 + 4)) << "up to the bound nothing is left out";
  EXPECT_EQ(lines.take("more\n"), "[a] (what follows is left out: 4 MiB of it are above)\n");
  EXPECT_EQ(lines.take("and more\n"), "");
  EXPECT_EQ(lines.rest(), "");
  EXPECT_TRUE(lines.last_words().ends_with("xxx more and more")) << "why it failed is told all the same";
}

TEST(SidecarLines, KeepTheLastWords) {
  SidecarLines lines("db");
  EXPECT_EQ(lines.last_words(), "");
  (void)lines.take("a\nb\n\n");
  EXPECT_EQ(lines.last_words(), "a b");
  (void)lines.take(std::string(2 * kSidecarToldMax, 'y'));
  EXPECT_EQ(lines.last_words(), std::string(kSidecarToldMax, 'y'));
}

TEST(Holder, IsASmallProgram) {
  const std::string program(holder_program());
  EXPECT_TRUE(
      program.starts_with("\x7f"
                          "ELF"));
  EXPECT_LT(program.size(), std::size_t{32} << 10);
}

}  // namespace
}  // namespace chappe::container
