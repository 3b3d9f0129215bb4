#include "engine/ports/log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace chappe::log {
namespace {

/// Collects the lines of one test, and gives the log back to stderr at its end.
class Log : public testing::Test {
 protected:
  void collect_from(Level least) {
    install([this](Level level,
                   std::string_view line) { lines.push_back(std::string(name_of(level)) + " " + std::string(line)); },
            least);
  }
  void TearDown() override { install({}, Level::kInfo); }
  std::vector<std::string> lines;
};

TEST_F(Log, HandsFormattedLinesToTheSink) {
  collect_from(Level::kInfo);
  info("worker {} joined with {} cores", "w1", 2);
  error("plain {braces} stay");
  EXPECT_EQ(lines, (std::vector<std::string>{"info worker w1 joined with 2 cores", "error plain {braces} stay"}));
}

TEST_F(Log, LeavesOutWhatIsBelowTheLevel) {
  collect_from(Level::kWarning);
  debug("no");
  info("no {}", 1);
  warn("yes");
  EXPECT_EQ(lines, std::vector<std::string>{"warning yes"});
}

TEST_F(Log, LetsNobodyForgeALineOrDriveATerminal) {
  collect_from(Level::kInfo);
  info("name={}", "a\nerror: forged \x1b[2J");
  EXPECT_EQ(lines, std::vector<std::string>{"info name=a\\x0aerror: forged \\x1b[2J"});
}

TEST_F(Log, KnowsItsLevelsByName) {
  EXPECT_EQ(parse_level("warning"), Level::kWarning);
  EXPECT_EQ(parse_level("loud"), std::nullopt);
}

}  // namespace
}  // namespace chappe::log
