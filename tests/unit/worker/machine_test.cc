#include "worker/app/machine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace chappe::worker {
namespace {

namespace fs = std::filesystem;

/// A directory that looks like a mount of control groups.
class MachineTest : public testing::Test {
 protected:
  MachineTest() : mount(fs::temp_directory_path() / ("chappe-machine-" + std::to_string(::getpid()))) {
    fs::create_directories(mount);
  }
  ~MachineTest() override { fs::remove_all(mount); }

  void say(const std::string& file, const std::string& text) const {
    fs::create_directories((mount / file).parent_path());
    std::ofstream(mount / file) << text << '\n';
  }
  void expect(const std::string& cgroups, std::optional<std::int64_t> cpu_milli, std::optional<std::int64_t> memory) {
    const GroupLimits limits = group_limits(cgroups, mount.string());
    EXPECT_EQ(limits.cpu_milli, cpu_milli);
    EXPECT_EQ(limits.memory_bytes, memory);
  }

  const fs::path mount;
};

TEST_F(MachineTest, OffersWhatItsServiceMayUseInVersion2) {
  say("system.slice/chappe.service/memory.max", "1000");
  say("system.slice/chappe.service/cpu.max", "150000 100000");
  expect("0::/system.slice/chappe.service\n", 1500, 1000);
}

TEST_F(MachineTest, OffersNoMoreThanAGroupAroundItMayUse) {
  say("system.slice/chappe.service/memory.max", "max");
  say("system.slice/chappe.service/cpu.max", "max 100000");
  say("system.slice/memory.max", "2000");
  say("system.slice/cpu.max", "50000 100000");
  expect("0::/system.slice/chappe.service\n", 500, 2000);
}

TEST_F(MachineTest, OffersWhatItsContainerMayUseWhateverItsPathSays) {
  say("memory.max", "3000");
  say("cpu.max", "200000 100000");
  expect("0::/\n", 2000, 3000);
  expect("0::/kubepods/pod1/a\n", 2000, 3000);
}

TEST_F(MachineTest, OffersWhatItMayUseInVersion1) {
  say("memory/docker/a/memory.limit_in_bytes", "4000");
  say("cpu/docker/a/cpu.cfs_quota_us", "25000");
  say("cpu/docker/a/cpu.cfs_period_us", "100000");
  say("cpu/cpu.cfs_quota_us", "-1");
  say("cpu/cpu.cfs_period_us", "100000");
  expect("4:memory:/docker/a\n3:cpu,cpuacct:/docker/a\n0::/\n", 250, 4000);
}

TEST_F(MachineTest, KnowsNoLimitWhereThereIsNone) {
  expect("0::/service\n", std::nullopt, std::nullopt);
  expect("", std::nullopt, std::nullopt);
}

}  // namespace
}  // namespace chappe::worker
