// Sidecars of a task in its pod, and what the pod's status says of them.
#include "scheduler/launch/pod_sidecars.h"

#include <gmock/gmock.h>

#include "scheduler/launch/pod_status.h"
#include "tests/support/pods_of.h"

namespace chappe::launch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Sidecar db() {
  Sidecar out{.name = "db", .image = "postgres:16", .args = {"-c", "$(fsync)=$$x$"}, .env = {{"A", "$(B)"}}};
  out.resources = {.cpu_milli = 500, .memory_bytes = 1024};
  out.container = {.user = "999:998", .pull = ContainerOptions::Pull::kAlways, .read_only = false};
  out.port = 5432;
  out.ready_timeout = std::chrono::milliseconds(90'500);
  return out;
}

Result<Value> pod_with(std::vector<Sidecar> sidecars, std::string_view pod_template = "null") {
  PodOrder order = order_of(some_task());
  order.sidecars = std::move(sidecars);
  return make_pod(some_settings(json(pod_template)), order, "k3y");
}

TEST(PodSidecars, AreInitContainersThatGoOn) {
  Sidecar web{.name = "web", .image = "nginx", .command = {"nginx"}};
  web.port = 8080;
  web.ready_path = "/up";
  const Value pod = pod_with({db(), web}).value();
  const ValueList& before = items_of(find(&pod, "spec", "initContainers"));
  ASSERT_EQ(before.size(), 3U);
  EXPECT_EQ(text_of(before[0].find("name")), kWorkerContainer);
  EXPECT_EQ(before[1], json(R"x({"name":"db","image":"postgres:16","imagePullPolicy":"Always","restartPolicy":"Always",
      "terminationMessagePolicy":"FallbackToLogsOnError","args":["-c","$$(fsync)=$$$x$"],
      "env":[{"name":"A","value":"$$(B)"
}],
      "resources":{"requests":{"cpu":"500m","memory":"1024"},"limits":{"memory":"1024"}},
      "startupProbe":{"periodSeconds":1,"timeoutSeconds":2,"failureThreshold":91,"tcpSocket":{"port":5432}},
      "securityContext":{"readOnlyRootFilesystem":false,"runAsUser":999,"runAsGroup":998,
                         "allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}},
      "volumeMounts":[{"name":"chappe-tmp-db","mountPath":"/tmp"}]
})x")) << to_json(before[1]);
  EXPECT_EQ(*find(&before[2], "startupProbe", "httpGet"), json(R"({"path":"/up","port":8080})"));
  EXPECT_EQ(*find(&before[2], "securityContext", "readOnlyRootFilesystem"), Value(true));
  EXPECT_EQ(before[2].find("resources"), nullptr);
  EXPECT_THAT(sidecars_of(pod), ElementsAre("db", "web"));
}

TEST(PodSidecars, AreWhatAPodCanHave) {
  Sidecar named = db();
  named.container.user = "postgres";
  EXPECT_THAT(pod_with({named}).error().message, HasSubstr("in a pod its 'user' is a number"));
  named.container.user = "0";
  EXPECT_THAT(pod_with({named}).error().message, HasSubstr("runAsUser: must not be 0"));
  EXPECT_THAT(
      pod_with({db()}, R"({"spec": {"containers": [{"name": "task"}, {"name": "db", "image": "x"}]}})").error().message,
      HasSubstr("sidecar 'db': the scheduler's pod template has a container of that name already"));
}

/// A pod that has a sidecar, with this status of it, and this state of the task's container.
PodSeen read_beside(const std::string& sidecar,
                    const std::string& task = R"({"waiting": {"reason": "PodInitializing"}})") {
  Value pod = pod_with({db()}).value();
  put(*pod.as_map(), "status",
      json(R"({"phase": "Pending", "initContainerStatuses": [
      {"name": "chappe-worker", "state": {"terminated": {"exitCode": 0}}}, {"name": "db", )" +
           sidecar + R"(}],
      "containerStatuses": [{"name": "task", "state": )" +
           task + "}]}"));
  return read_status(pod);
}

TEST(PodSidecars, ThatEndBeforeTheTaskBeginsFailItsLaunchWithTheirLastWords) {
  for (const char* state : {R"("state": {"terminated": {"exitCode": 3, "message": "no\ndisk\n"}})",
                            R"("started": false, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                               "lastState": {"terminated": {"exitCode": 3, "message": "no\ndisk\n"}})"}) {
    const PodSeen seen = read_beside(state);
    EXPECT_EQ(seen.what, PodSeen::What::kEnded);
    EXPECT_EQ(seen.reason, Reason::kLaunchFailed);
    EXPECT_EQ(seen.message, "sidecar 'db' was not ready: it ended with exit code 3: no disk");
  }
}

TEST(PodSidecars, ThatFloodTellTheEndOfWhatTheySaid) {
  const PodSeen seen =
      read_beside(R"("state": {"terminated": {"exitCode": 1, "message": ")" + std::string(5000, 'x') + R"(!"}})");
  EXPECT_TRUE(seen.message.ends_with("x!"));
  EXPECT_LE(seen.message.size(), kToldBytesMax);
}

TEST(PodSidecars, AreWaitedForByName) {
  EXPECT_EQ(read_beside(R"("started": false, "state": {"running": {}})").message, "sidecar 'db' is not ready yet");
  EXPECT_EQ(read_beside(R"("started": true, "state": {"running": {}})").message, "");
}

TEST(PodSidecars, DecideNothingOnceTheTaskRuns) {
  for (const char* state :
       {R"("state": {"terminated": {"exitCode": 1}})",
        R"("started": false, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}})"}) {
    EXPECT_EQ(read_beside(state, R"({"running": {}})").what, PodSeen::What::kStarted);
  }
}

TEST(PodSidecars, OfTheTemplateMayEndAndBeginAnew) {
  const Value pod = json(R"({"spec": {"initContainers": [{"name": "mesh", "restartPolicy": "Always"}]},
      "status": {"initContainerStatuses": [{"name": "mesh", "state": {"terminated": {"exitCode": 1}}}]}})");
  EXPECT_EQ(read_status(pod).what, PodSeen::What::kWaiting);
}

TEST(PodSidecars, AreKeptByTheirDigests) {
  Value pod = pod_with({db()}).value();
  const std::string statuses = R"("initContainerStatuses": [{"name": "db", "imageID": "docker-pullable://pg@sha256:aa"},
                                                            {"name": "chappe-worker", "imageID": "w@sha256:bb"}])";
  put(*pod.as_map(), "status", json("{" + statuses + "}"));
  EXPECT_EQ(read_image(pod), "") << "the task's own is not known";
  put(*pod.as_map(), "status",
      json("{" + statuses + R"(, "containerStatuses": [{"name": "task", "imageID": "ml@sha256:cc"}]})"));
  EXPECT_EQ(read_image(pod), "ml@sha256:cc\ndb=pg@sha256:aa");
  const ImagesOfAttempt images = split_images(read_image(pod));
  EXPECT_EQ(images.own, "ml@sha256:cc");
  EXPECT_THAT(images.sidecars, ElementsAre(std::pair<std::string, std::string>("db", "pg@sha256:aa")));
  EXPECT_TRUE(split_images("ml@sha256:cc").sidecars.empty());
}

}  // namespace
}  // namespace chappe::launch
