// Every file in broken/ gets exactly the complaints that stand in the .txt beside it, in order and all in one go.
// To accept new ones: CHAPPE_BLESS=1 build/dev/tests/unit_dags --gtest_filter='*BrokenFiles*', and read the diff.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "dags/loader/loader.h"

namespace chappe {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<fs::path> broken_files() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(CHAPPE_SOURCE_DIR "/tests/unit/dags/broken")) {
    if (entry.path().extension() == ".yaml") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

class BrokenFiles : public testing::TestWithParam<fs::path> {};

TEST_P(BrokenFiles, GetTheirComplaints) {
  const LoadedDag loaded = load_dag(read_file(GetParam()), GetParam().filename().string());
  std::string complaints;
  for (const Diagnostic& diagnostic : loaded.diagnostics) complaints += diagnostic.text() + "\n";
  fs::path expected = GetParam();
  expected.replace_extension(".txt");
  if (std::getenv("CHAPPE_BLESS") != nullptr) std::ofstream(expected) << complaints;
  EXPECT_EQ(complaints, read_file(expected));
  EXPECT_EQ(loaded.dag, nullptr);
  EXPECT_NE(complaints, "");
}

INSTANTIATE_TEST_SUITE_P(All, BrokenFiles, testing::ValuesIn(broken_files()),
                         [](const auto& instance) { return instance.param.stem().string(); });

TEST(BrokenFilesFolder, HoldsAtLeastTwelve) { EXPECT_GE(broken_files().size(), 12U); }

}  // namespace
}  // namespace chappe
