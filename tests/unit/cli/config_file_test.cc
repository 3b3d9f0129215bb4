#include "cli/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace chappe::cli {
namespace {

using ::testing::HasSubstr;

/// A command line like ours, in small.
class ConfigFileTest : public testing::Test {
 protected:
  ConfigFileTest() {
    file_ = std::filesystem::temp_directory_path() / ("chappe-config-" + std::to_string(::getpid()) + ".yaml");
    app_.require_subcommand(0, 1);
    app_.add_option("--object-store", store_)->envname("CHAPPE_CONFIG_TEST_STORE");
    app_.add_option("--token", token_);
    CLI::App* scheduler = app_.add_subcommand("scheduler", "");
    scheduler->add_option("--listen", listen_);
    scheduler->add_option("--pool", pools_)->allow_extra_args(false);
    CLI::App* worker = app_.add_subcommand("worker", "");
    worker->add_option("--gpus", gpus_);
    worker->add_flag("--keep-work-dirs", keep_);
    app_.add_subcommand("standalone", "");
    ::unsetenv("CHAPPE_CONFIG_TEST_STORE");
  }
  ~ConfigFileTest() override { std::filesystem::remove(file_); }

  /// What is wrong; "" where all is well.
  std::string parse(const std::string& text, std::vector<std::string> words = {}) {
    std::ofstream(file_) << text;
    std::ranges::reverse(words);  // As CLI11 wants them.
    app_.parse(words);
    auto settings = read_config_file(file_, app_);
    if (!settings) return settings.error().message;
    settings_ = *std::move(settings);
    const auto applied = apply_settings(settings_, app_);
    return applied ? "" : applied.error().message;
  }
  std::string origin_of(const std::string& name) const {
    for (const EffectiveSetting& setting : effective_settings(settings_, app_)) {
      if (setting.name == name) return setting.value + " from " + setting.origin;
    }
    return "no such setting";
  }

  CLI::App app_;
  std::filesystem::path file_;
  std::vector<Setting> settings_;
  std::string store_, token_, listen_ = "before";
  std::vector<std::string> pools_;
  int gpus_ = 0;
  bool keep_ = false;
};

TEST_F(ConfigFileTest, SetsTheOptionsOfTheCommandThatRuns) {
  ASSERT_EQ(parse("object_store: s3://b\nscheduler:\n  listen: 0.0.0.0:1\n  pool: {db: 4, gpu: 1}\nworker: {gpus: 2}\n",
                  {"scheduler"}),
            "");
  EXPECT_EQ(store_, "s3://b");
  EXPECT_EQ(listen_, "0.0.0.0:1");
  EXPECT_EQ(pools_, (std::vector<std::string>{"db=4", "gpu=1"}));
  EXPECT_EQ(gpus_, 0);
}

TEST_F(ConfigFileTest, SetsFlags) {
  ASSERT_EQ(parse("worker: {keep_work_dirs: true}", {"worker"}), "");
  EXPECT_TRUE(keep_);
}

TEST_F(ConfigFileTest, StandsBelowOptionsAndEnvironment) {
  ::setenv("CHAPPE_CONFIG_TEST_STORE", "s3://environment", 1);
  ASSERT_EQ(
      parse("object_store: s3://file\nscheduler: {listen: file, pool: {p: 1}}", {"scheduler", "--listen", "given"}),
      "");
  ::setenv("CHAPPE_CONFIG_TEST_STORE", "s3://environment", 1);
  EXPECT_EQ(store_, "s3://environment");
  EXPECT_EQ(listen_, "given");
  EXPECT_EQ(origin_of("object_store"), "s3://environment from CHAPPE_CONFIG_TEST_STORE");
  EXPECT_EQ(origin_of("scheduler.listen"), "given from option");
  EXPECT_EQ(origin_of("scheduler.pool"), "p=1 from " + file_.string() + ":2");
  EXPECT_EQ(origin_of("worker.gpus"), " from default");
}

TEST_F(ConfigFileTest, SaysWhereAMistakeIsAndWhatWasMeant) {
  const std::string at = file_.string();
  EXPECT_EQ(parse("scheduler:\n  lisen: x\n"), at + ":2:3: there is no setting 'lisen'; did you mean 'listen'?");
  EXPECT_EQ(parse("listen: x\n"), at + ":1:1: 'listen' belongs in the section 'scheduler'");
  EXPECT_EQ(parse("worker: {object_store: x}\n"),
            at + ":1:10: 'object_store' belongs at the top of the file, outside 'worker'");
  EXPECT_THAT(parse("token: secret\n"), HasSubstr("set CHAPPE_TOKEN"));
  EXPECT_THAT(parse("scheduler: [a]\n"), HasSubstr("'scheduler' must be a map"));
  EXPECT_THAT(parse("object_store: [a, b]\n"), HasSubstr("takes one value"));
  EXPECT_THAT(parse("a: b: c\n"), HasSubstr(at + ":1:"));
  EXPECT_THAT(parse("worker: {gpus: many}\n", {"worker"}), HasSubstr(at + ":1: "));
}

TEST_F(ConfigFileTest, WhatItSaysOfAFileIsALineOfBoundedLength) {
  const std::string at = file_.string();
  EXPECT_THAT(parse("\"a\\nb\\u001b[31m\": 1\n"), HasSubstr(at + ":1:1: there is no setting 'a\\x0ab\\x1b[31m'"));
  EXPECT_LT(parse(std::string(100'000, 'k') + ": 1\n").size(), 1'200);
  EXPECT_LT(parse("worker: {gpus: \"" + std::string(100'000, 'v') + "\"}\n", {"worker"}).size(), 1'200);
}

TEST_F(ConfigFileTest, IsReadAnewForWhatWasNotGivenOtherwise) {
  ASSERT_EQ(parse("scheduler: {pool: {p: 1}, listen: a}", {"scheduler"}), "");
  std::ofstream(file_) << "object_store: o\nscheduler: {pool: {p: 2}, listen: b}";
  const auto fresh = *read_config_file(file_, app_);
  EXPECT_EQ(values_now(settings_, fresh, app_, "scheduler", "pool"), std::vector<std::string>{"p=2"});
  EXPECT_EQ(changed_settings(settings_, fresh, "scheduler"),
            (std::vector<std::string>{"object_store", "scheduler.listen", "scheduler.pool"}));
  EXPECT_EQ(changed_settings(settings_, fresh, "worker"), std::vector<std::string>{"object_store"});
}

TEST_F(ConfigFileTest, DoesNotChangeWhatWasGivenAsAnOption) {
  ASSERT_EQ(parse("scheduler: {pool: {p: 1}}", {"scheduler", "--pool", "p=9"}), "");
  EXPECT_EQ(values_now(settings_, settings_, app_, "scheduler", "pool"), std::vector<std::string>{"p=9"});
}

TEST_F(ConfigFileTest, CanBeEmpty) {
  EXPECT_EQ(parse(""), "");
  EXPECT_EQ(parse("# nothing yet\n"), "");
  EXPECT_EQ(parse("scheduler:\n"), "");
}

}  // namespace
}  // namespace chappe::cli
