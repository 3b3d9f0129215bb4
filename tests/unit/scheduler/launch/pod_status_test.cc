#include "scheduler/launch/pod_status.h"

#include <gtest/gtest.h>

#include "tests/support/pods_of.h"

namespace chappe::launch {
namespace {

using What = PodSeen::What;

PodSeen read(std::string_view pod) { return read_status(json(pod)); }

void expect(const PodSeen& seen, What what, const std::string& message, Reason reason = Reason::kNone) {
  EXPECT_EQ(static_cast<int>(seen.what), static_cast<int>(what));
  EXPECT_EQ(seen.message, message);
  EXPECT_EQ(name_of(seen.reason), name_of(reason));
}

TEST(PodStatus, TellsWhyAPodDoesNotRunYet) {
  expect(read(R"({"status": {"phase": "Pending"}})"), What::kWaiting, "");
  expect(read(R"({"status": {"phase": "Pending", "conditions": [
           {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}]}})"),
         What::kWaiting, "Unschedulable: 0/3 nodes are available");
  expect(read(R"({"status": {"phase": "Pending", "containerStatuses": [
           {"name": "task", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}]}})"),
         What::kWaiting, "ImagePullBackOff: not found (container task)");
  expect(read(R"({"status": {"phase": "Pending", "initContainerStatuses": [
           {"name": "chappe-worker", "state": {"waiting": {"reason": "ErrImagePull"}}}], "containerStatuses": [
           {"name": "task", "state": {"waiting": {"reason": "PodInitializing"}}}]}})"),
         What::kWaiting, "ErrImagePull (container chappe-worker)");
}

TEST(PodStatus, NamesTheImageByItsDigest) {
  const auto image = [](const std::string& id) {
    return read_image(json(R"({"status": {"containerStatuses": [{"name": "proxy", "imageID": "other@sha256:00"},
        {"name": "task", "imageID": ")" +
                           id + R"("}]}})"));
  };
  EXPECT_EQ(image("registry/ml@sha256:abc"), "registry/ml@sha256:abc");
  EXPECT_EQ(image("docker-pullable://registry/ml@sha256:abc"), "registry/ml@sha256:abc");
  EXPECT_EQ(image("sha256:abc"), "sha256:abc") << "of an image that no registry knows";
  EXPECT_EQ(image(""), "") << "its node has not said";
  EXPECT_EQ(image("registry/ml:latest"), "") << "a tag can move";
  EXPECT_EQ(image("a@sha256:" + std::string(kImageBytesMax - 9, '0')).size(), kImageBytesMax);
  EXPECT_EQ(image("a@sha256:" + std::string(kImageBytesMax - 8, '0')), "");
  EXPECT_EQ(read_image(json(R"({"status": {}})")), "");
}

TEST(PodStatus, KnowsWhatNoRepetitionMends) {
  expect(read(R"({"status": {"phase": "Pending", "containerStatuses": [
           {"name": "task", "state": {"waiting": {"reason": "InvalidImageName"}}}]}})"),
         What::kRefused, "InvalidImageName (container task)");
}

TEST(PodStatus, StartsWithTheTasksContainer) {
  expect(read(R"({"status": {"phase": "Running", "containerStatuses": [{"name": "proxy", "state": {"running": {}}},
           {"name": "task", "state": {"running": {}}}]}})"),
         What::kStarted, "");
}

TEST(PodStatus, EndsWithTheTasksContainerThoughASidecarGoesOn) {
  expect(read(R"({"status": {"phase": "Running", "containerStatuses": [{"name": "proxy", "state": {"running": {}}},
           {"name": "task", "state": {"terminated": {"exitCode": 75, "reason": "Error"}}}]}})"),
         What::kEnded, "the pod's worker ended with exit code 75 (Error)", Reason::kLostWorker);
}

TEST(PodStatus, TellsWhoseFaultAnEndIs) {
  const auto main = [](std::string_view terminated, std::string_view more = "") {
    return read(std::string(R"({"status": {"phase": "Failed")") + std::string(more) +
                R"(, "containerStatuses": [{"name": "task", "state": {"terminated": )" + std::string(terminated) +
                "}}]}}");
  };
  expect(main(R"({"exitCode": 137, "reason": "OOMKilled"})"), What::kEnded, "the pod was killed for memory",
         Reason::kOom);
  expect(main(R"({"exitCode": 128, "reason": "StartError", "message": "exec: not found"})"), What::kEnded,
         "the container cannot start: StartError: exec: not found", Reason::kLaunchFailed);
  expect(main(R"({"exitCode": 2})"), What::kEnded, "the pod's worker ended with exit code 2", Reason::kLaunchFailed);
  expect(main(R"({"exitCode": 137, "reason": "Error"})", R"(, "reason": "Evicted", "message": "low on memory")"),
         What::kEnded, "the pod ended: Evicted: low on memory", Reason::kLostWorker);
  expect(main(R"({"exitCode": 143})", R"(, "conditions": [{"type": "DisruptionTarget", "status": "True",
         "reason": "PreemptionByScheduler"}])"),
         What::kEnded, "the pod ended: PreemptionByScheduler", Reason::kLostWorker);
  expect(read(R"({"status": {"phase": "Failed", "reason": "DeadlineExceeded"}})"), What::kEnded,
         "the pod ended: DeadlineExceeded", Reason::kTimeout);
  expect(read(R"({"status": {"phase": "Failed", "reason": "NodeLost"}})"), What::kEnded, "the pod ended: NodeLost",
         Reason::kLostWorker);
  expect(read(R"({"status": {"phase": "Failed", "initContainerStatuses": [{"name": "chappe-worker",
           "state": {"terminated": {"exitCode": 1, "message": "no space"}}}]}})"),
         What::kEnded, "container chappe-worker ended with exit code 1 (no space)", Reason::kLaunchFailed);
}

TEST(PodStatus, IsGoneWhileItIsBeingDeleted) {
  expect(read(R"({"metadata": {"deletionTimestamp": "now"}, "status": {"phase": "Running", "containerStatuses": [
           {"name": "task", "state": {"running": {}}}], "conditions": [{"type": "DisruptionTarget", "status": "True",
           "reason": "EvictionByEvictionAPI", "message": "drained"}]}})"),
         What::kGone, "the pod is being deleted: EvictionByEvictionAPI: drained");
}

TEST(PodStatus, MakesNothingOfNonsense) {
  expect(read("{}"), What::kWaiting, "");
  expect(read(R"({"status": {"containerStatuses": 7, "conditions": [null, {"type": 3}]}})"), What::kWaiting, "");
  const PodSeen long_winded =
      read(R"({"status": {"phase": "Failed", "message": ")" + std::string(5000, 'x') + R"("}})");
  EXPECT_EQ(long_winded.message.size(), kToldBytesMax);
}

}  // namespace
}  // namespace chappe::launch
