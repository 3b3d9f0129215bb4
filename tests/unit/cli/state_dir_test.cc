#include "cli/state_dir.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

#include "storage/sqlite/sqlite_meta_store.h"

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

/// What a scheduler leaves behind where it was killed: a file that names a process, here one that lives.
class Announced : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "chappe-announced-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    std::ofstream(directory_ / "endpoint.json") << R"({"api": "http://127.0.0.1:9", "pid": )" << ::getpid() << "}";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path directory_;
};

TEST_F(Announced, IsNobodyWhereTheStoreIsNotHeld) {
  EXPECT_FALSE(read_endpoint(directory_));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "lock")) << "looking makes nothing";
  ASSERT_TRUE(SqliteMetaStore::open(directory_ / "chappe.db"));  // And closes it at once.
  EXPECT_FALSE(read_endpoint(directory_));
}

TEST_F(Announced, IsTheSchedulerThatHoldsTheStore) {
  const auto store = SqliteMetaStore::open(directory_ / "chappe.db");
  ASSERT_TRUE(store);
  const auto endpoint = read_endpoint(directory_);
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->api, "http://127.0.0.1:9");
}

TEST_F(Announced, IsNobodyWhereAnotherHoldsTheStore) {
  const auto store = SqliteMetaStore::open(directory_ / "chappe.db");
  ASSERT_TRUE(store);
  std::ofstream(directory_ / "endpoint.json") << R"({"api": "http://127.0.0.1:9", "pid": 1})";
  EXPECT_FALSE(read_endpoint(directory_)) << "it is not ready yet";
}

}  // namespace
}  // namespace chappe::cli
