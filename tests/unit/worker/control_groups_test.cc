#include "worker/exec/control_groups.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace chappe::exec {
namespace {

namespace fs = std::filesystem;

/// A directory that looks like a mount of control groups: the kernel's files, without the kernel.
class ControlGroupsTest : public testing::Test {
 protected:
  ControlGroupsTest() : mount(fs::temp_directory_path() / ("chappe-groups-" + std::to_string(::getpid()))) {}
  ~ControlGroupsTest() override { fs::remove_all(mount); }

  void make_group(const std::string& name, const std::string& controllers = "") {
    fs::create_directories(mount / name);
    for (const char* file : {"cgroup.procs", "cgroup.subtree_control", "pids.max", "memory.max", "memory.swap.max"}) {
      std::ofstream(mount / name / file) << "";
    }
    std::ofstream(mount / name / "cgroup.controllers") << controllers << '\n';
  }
  std::string text(const std::string& file) const {
    std::ifstream in(mount / file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  ControlGroups make(const std::string& cgroups) const {
    return ControlGroups::make({.mount = mount.string(), .cgroups = cgroups, .owner = 42});
  }

  const fs::path mount;
};

TEST_F(ControlGroupsTest, HandsMemoryAndProcessesOnInVersion2) {
  make_group("service", "cpu io memory pids");
  for (const char* group : {"service/chappe-42", "service/chappe-42/slot-7", "service/chappe-42/bounded-7"}) {
    make_group(group);
  }
  const ControlGroups groups = make("0::/service\n");
  EXPECT_EQ(groups.described(), "memory by control groups (version 2), processes by control groups (version 2)");
  EXPECT_EQ(text("service/cgroup.subtree_control"), "+memory +pids");
  EXPECT_EQ(text("service/chappe-42/cgroup.subtree_control"), "+memory +pids");
  SupervisorGroups own = groups.enter(7);
  EXPECT_EQ(text("service/chappe-42/slot-7/pids.max"), std::to_string(processes_max()));
  EXPECT_EQ(text("service/chappe-42/slot-7/cgroup.procs"), "0");
  EXPECT_TRUE(own.begin(1 << 20));
  EXPECT_TRUE(own.enter());
  EXPECT_EQ(text("service/chappe-42/bounded-7/memory.max"), "1048576");
  EXPECT_EQ(text("service/chappe-42/bounded-7/memory.swap.max"), "0");
  EXPECT_EQ(text("service/chappe-42/bounded-7/pids.max"), std::to_string(processes_max()));
  EXPECT_EQ(text("service/chappe-42/bounded-7/cgroup.procs"), "0");
  std::ofstream(mount / "service/chappe-42/bounded-7/memory.events") << "oom 1\noom_kill 1\n";
  own.forbid_forks();
  EXPECT_EQ(text("service/chappe-42/bounded-7/pids.max").front(), '0');
  EXPECT_EQ(text("service/chappe-42/slot-7/pids.max").front(), '0');
  EXPECT_TRUE(own.end(false));
  EXPECT_EQ(text("service/chappe-42/slot-7/pids.max"), std::to_string(processes_max()));
}

TEST_F(ControlGroupsTest, TellsAKillInTheSlotOnce) {
  make_group("service", "memory pids");
  make_group("service/chappe-42");
  make_group("service/chappe-42/slot-7");
  SupervisorGroups own = make("0::/service\n").enter(7);
  EXPECT_FALSE(own.begin(0));
  std::ofstream(mount / "service/chappe-42/slot-7/memory.events") << "oom_kill 2\n";
  EXPECT_TRUE(own.end(false));
  EXPECT_FALSE(own.end(false));
}

TEST_F(ControlGroupsTest, BoundsTheDataOfEachProcessWhereItMayMakeNoGroups) {
  const ControlGroups groups = make("0::/service\n");
  EXPECT_EQ(groups.described(),
            "memory of each process by RLIMIT_DATA, as control groups are not ours to make, processes not bounded");
  SupervisorGroups own = groups.enter(7);
  EXPECT_FALSE(own.begin(1 << 20));
  EXPECT_EQ(own.data_limit(), 1U << 20);
  EXPECT_FALSE(own.end(false));
  EXPECT_FALSE(own.begin(0));
  EXPECT_EQ(own.data_limit(), 0U);
}

TEST_F(ControlGroupsTest, RemovesWhatADeadWorkerLeft) {
  make_group("memory");
  fs::create_directories(mount / "memory/chappe-99999999/bounded-3");
  fs::create_directories(mount / ("memory/chappe-" + std::to_string(::getpid())));
  (void)make("4:memory:/\n");
  EXPECT_FALSE(fs::exists(mount / "memory/chappe-99999999"));
  EXPECT_TRUE(fs::exists(mount / ("memory/chappe-" + std::to_string(::getpid()))));
}

}  // namespace
}  // namespace chappe::exec
