// Tells every story of this folder. With CHAPPE_BLESS set, what came out is written into the files: read the diff.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/story.h"

namespace chappe {
namespace {

std::vector<std::string> stories() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(CHAPPE_SOURCE_DIR "/tests/scenarios")) {
    if (entry.path().extension() == ".txt") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Scenario : public testing::TestWithParam<std::string> {};

TEST_P(Scenario, EndsAsItIsTold) {
  const std::string path = CHAPPE_SOURCE_DIR "/tests/scenarios/" + GetParam() + ".txt";
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  const std::string told = support::Story().tell(text.str());
  if (std::getenv("CHAPPE_BLESS") != nullptr) {
    std::ofstream(path) << told;
  } else {
    EXPECT_EQ(told, text.str()) << "the story differs; scripts/bless writes what came out into the file";
  }
}

INSTANTIATE_TEST_SUITE_P(Stories, Scenario, testing::ValuesIn(stories()),
                         [](const auto& story) { return story.param; });

}  // namespace
}  // namespace chappe
