#include "cli/state_dir.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace chappe::cli {
namespace {

/// Sets variables for one test, and puts back what was.
class StateDirectory : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"CHAPPE_STATE_DIR", "XDG_STATE_HOME", "HOME"}) {
      const char* value = ::getenv(name);
      before_.emplace_back(name, value == nullptr ? "" : value);
      ::unsetenv(name);
    }
  }
  void TearDown() override {
    for (const auto& [name, value] : before_) {
      value.empty() ? ::unsetenv(name.c_str()) : ::setenv(name.c_str(), value.c_str(), 1);
    }
  }
  static std::string found(const std::string& given = "") {
    const auto directory = find_state_dir(given);
    return directory ? directory->string() : "none";
  }

 private:
  std::vector<std::pair<std::string, std::string>> before_;
};

TEST_F(StateDirectory, IsFoundByFlagThenVariableThenXdgThenHome) {
  EXPECT_EQ(found(), "none");
  ::setenv("HOME", "/srv/ada", 1);
  EXPECT_EQ(found(), "/srv/ada/.local/state/chappe");
  ::setenv("XDG_STATE_HOME", "/state", 1);
  EXPECT_EQ(found(), "/state/chappe");
  ::setenv("CHAPPE_STATE_DIR", "/own", 1);
  EXPECT_EQ(found(), "/own");
  EXPECT_EQ(found("/given/./here"), "/given/here");
}

TEST_F(StateDirectory, IgnoresARelativeXdgDirectory) {
  ::setenv("HOME", "/srv/ada", 1);
  ::setenv("XDG_STATE_HOME", "state", 1);
  EXPECT_EQ(found(), "/srv/ada/.local/state/chappe");
}

}  // namespace
}  // namespace chappe::cli
