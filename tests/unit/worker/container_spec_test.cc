#include "worker/container/container_spec.h"

#include <gtest/gtest.h>

#include <map>

#include "proto/json/json.h"
#include "worker/container/container_api.h"
#include "worker/container/runtime.h"

namespace chappe::container {
namespace {

ContainerSpec some_spec() {
  ContainerSpec spec;
  spec.attempt = {7};
  spec.labels = {{kOwnerLabel, "tower:/w"}};
  spec.image = "debian:12";
  spec.argv = {"/bin/sh", "-eu", kScriptInside};
  spec.env = {"A=b"};
  spec.directory = kWorkInside;
  spec.mounts = {{"/w/attempts/1/work", kWorkInside, false}, {"/w/runs/1.json", kParamsInside, true}};
  spec.resources = {.cpu_milli = 1500, .memory_bytes = std::uint64_t{64} << 20, .gpus = 0};
  spec.pids_max = 1024;
  spec.files_max = 4096;
  return spec;
}

Value body_of(const ContainerSpec& spec) {
  return parse_json(create_body(spec, "sha256:abc", name_of(spec.options.network))).value();
}

TEST(ContainerSpec, IsClosedUnlessTheTaskOpensIt) {
  const Value body = body_of(some_spec());
  const Value& host = *body.find("HostConfig");
  EXPECT_EQ(*host.find("CapDrop"), Value(ValueList{"ALL"}));
  EXPECT_EQ(*host.find("SecurityOpt"), Value(ValueList{"no-new-privileges"}));
  EXPECT_EQ(*host.find("NetworkMode"), Value("none"));
  EXPECT_EQ(*host.find("ReadonlyRootfs"), Value(true));
  EXPECT_EQ(*host.find("PidsLimit"), Value(1024));
  EXPECT_EQ(*host.find("NanoCpus"), Value(1'500'000'000));
  EXPECT_EQ(*host.find("Memory"), Value(std::int64_t{64} << 20));
  EXPECT_EQ(*host.find("MemorySwap"), *host.find("Memory"));
  EXPECT_EQ(body.find("User"), nullptr);
  for (const char* never : {"Privileged", "Binds", "CapAdd", "Devices", "DeviceRequests", "PidMode", "IpcMode"}) {
    EXPECT_EQ(host.find(never), nullptr) << never;
  }
}

TEST(ContainerSpec, OpensWhatTheTaskSays) {
  ContainerSpec spec = some_spec();
  spec.options = {.user = "1000:100", .network = ContainerOptions::Network::kHost, .read_only = false};
  spec.resources = {.cpu_milli = 0, .memory_bytes = 0, .gpus = 0};
  const Value body = body_of(spec);
  EXPECT_EQ(*body.find("User"), Value("1000:100"));
  const Value& host = *body.find("HostConfig");
  EXPECT_EQ(*host.find("NetworkMode"), Value("host"));
  EXPECT_EQ(*host.find("ReadonlyRootfs"), Value(false));
  EXPECT_EQ(host.find("Memory"), nullptr);
  EXPECT_EQ(host.find("NanoCpus"), nullptr);
}

TEST(ContainerSpec, MountsWhatItIsHandedAndRunsWhatItIsTold) {
  const Value body = body_of(some_spec());
  EXPECT_EQ(*body.find("Image"), Value("sha256:abc")) << "not the name, which may have moved";
  EXPECT_EQ(*body.find("Entrypoint"), Value(ValueList{"/bin/sh", "-eu", kScriptInside}));
  EXPECT_EQ(*body.find("Cmd"), Value(ValueList{}));
  const ValueList& mounts = *body.find("HostConfig")->find("Mounts")->as_list();
  ASSERT_EQ(mounts.size(), 2U);
  EXPECT_EQ(*mounts[0].find("Source"), Value("/w/attempts/1/work"));
  EXPECT_EQ(*mounts[0].find("ReadOnly"), Value(false));
  EXPECT_EQ(*mounts[1].find("ReadOnly"), Value(true));
}

TEST(ContainerSpec, NamesItsGpus) {
  ContainerSpec spec = some_spec();
  spec.gpus = {"nvidia.com/gpu=1", "nvidia.com/gpu=3"};
  EXPECT_EQ(to_json(*body_of(spec).find("HostConfig")->find("DeviceRequests")),
            R"([{"Driver":"cdi","DeviceIDs":["nvidia.com/gpu=1","nvidia.com/gpu=3"]}])");
}

TEST(Images, AreKnownByTheirRepository) {
  EXPECT_EQ(repository_of("debian"), "debian");
  EXPECT_EQ(repository_of("debian:12"), "debian");
  EXPECT_EQ(repository_of("localhost:5000/a/b:1"), "localhost:5000/a/b");
  EXPECT_EQ(repository_of("localhost:5000/a/b"), "localhost:5000/a/b");
  EXPECT_EQ(repository_of("a/b:1@sha256:00"), "a/b");
}

TEST(Sockets, AreWhereDockerHostSaysOrInTheUsualPlaces) {
  const auto with = [](std::map<std::string, std::string> variables) {
    return usual_sockets([=](const char* name) {
      const auto found = variables.find(name);
      return found == variables.end() ? std::string() : found->second;
    });
  };
  using Sockets = std::vector<std::string>;
  EXPECT_EQ(with({{"DOCKER_HOST", "unix:///a/b.sock"}, {"XDG_RUNTIME_DIR", "/r"}}), (Sockets{"/a/b.sock"}));
  EXPECT_EQ(with({{"DOCKER_HOST", "tcp://1.2.3.4:2375"}}), Sockets{});
  EXPECT_EQ(with({}), (Sockets{"/run/podman/podman.sock", "/var/run/docker.sock"}));
  EXPECT_EQ(with({{"XDG_RUNTIME_DIR", "/r"}}).back(), "/r/docker.sock");
}

TEST(Sockets, TheOneThatIsNamedMustAnswer) {
  EXPECT_FALSE(find_runtime("/nowhere/p.sock").has_value());
  const auto none = find_runtime("none");
  ASSERT_TRUE(none.has_value());
  EXPECT_FALSE(none->has_value());
}

}  // namespace
}  // namespace chappe::container
