#include <gmock/gmock.h>

#include "scheduler/launch/pod_security.h"
#include "tests/support/pods_of.h"

namespace chappe::launch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Value pod_of(Task task, std::string_view pod_template = "null") {
  auto pod = make_pod(some_settings(json(pod_template)), order_of(std::move(task)), "k3y");
  EXPECT_TRUE(pod.has_value()) << pod.error().message;
  return pod.value_or(Value());
}

std::string complaint_of(Task task, std::string_view pod_template = "null") {
  const auto pod = make_pod(some_settings(json(pod_template)), order_of(std::move(task)), "k3y");
  return pod ? "" : pod.error().message;
}

const Value& first(const Value& pod, const char* containers) { return items_of(find(&pod, "spec", containers)).at(0); }

std::string text_at(const Value& value) { return to_text(value); }
template <typename... Names>
std::string text_at(const Value& value, const Names&... names) {
  return to_text(*find(&value, names...));
}

Task with_pod(PodSpec spec) {
  Task task = some_task();
  task.pod = std::make_shared<const PodSpec>(std::move(spec));
  return task;
}

TEST(Pod, IsNamedAndLabelledByItsAttempt) {
  Task task = some_task();
  task.id = "_train_";
  const Value pod = pod_of(task);
  EXPECT_EQ(text_at(pod, "metadata", "name"), "chappe-01234567-0000000000000007");
  EXPECT_EQ(text_at(pod, "metadata", "namespace"), "tasks");
  EXPECT_EQ(text_at(pod, "metadata", "labels", kAttemptLabel), "0000000000000007");
  EXPECT_EQ(text_at(pod, "metadata", "labels", kInstallationLabel), "0123456789abcdef");
  EXPECT_EQ(text_at(pod, "metadata", "labels", "chappe/task"), "train") << "no label begins or ends with '_'";
  EXPECT_EQ(text_at(pod, "metadata", "annotations", "chappe/task"), "_train_");
  EXPECT_EQ(text_at(pod, "spec", "restartPolicy"), "Never");
}

TEST(Pod, RunsTheWorkerThatAnInitContainerBrought) {
  const Value pod = pod_of(some_task());
  EXPECT_EQ(text_at(first(pod, "initContainers"), "command"),
            R"(["chappe-worker","--copy-to","/chappe/bin/chappe-worker"])");
  EXPECT_THAT(text_at(first(pod, "containers"), "command"),
              HasSubstr(R"(["/chappe/bin/chappe-worker","--one-attempt","--scheduler","tcp://chappe:7331")"));
  EXPECT_EQ(text_at(first(pod, "containers"), "env"), R"([{"name":"CHAPPE_JOIN_KEY","value":"k3y"}])");
}

TEST(Pod, HasKubernetesSecretsByReferenceAlone) {
  WorkSpec work;
  work.secrets = {{.name = "TOKEN", .source = SecretRef::Source::kKubernetes, .place = "api", .key = "token.txt"},
                  {.name = "OTHER", .source = SecretRef::Source::kVault, .place = "ml", .key = "k", .mount = "secret"}};
  Task task = some_task();
  task.work = std::make_shared<const WorkSpec>(work);
  const Value pod = pod_of(task, R"({"spec": {"containers": [{"name": "task", "env": [
      {"name": "CHAPPE_SECRET_ENV", "value": "PG*"}, {"name": "CHAPPE_POD_SECRET_TOKEN", "value": "planted"}]}]}})");
  EXPECT_EQ(text_at(first(pod, "containers"), "env"),
            R"([{"name":"CHAPPE_SECRET_ENV","value":"PG*"},{"name":"CHAPPE_JOIN_KEY","value":"k3y"},)"
            R"({"name":"CHAPPE_POD_SECRET_TOKEN","valueFrom":{"secretKeyRef":{"name":"api","key":"token.txt"}}}])");
}

TEST(Pod, AsksForTheResourcesOfItsTaskAndTheWorkers) {
  WorkSpec work;
  work.resources = {.cpu_milli = 1500, .memory_bytes = std::uint64_t{1} << 30, .gpus = 2};
  work.timeout = std::chrono::minutes(10);
  work.kill_grace = std::chrono::seconds(30);
  Task task = some_task();
  task.work = std::make_shared<const WorkSpec>(work);
  const Value pod = pod_of(task);
  const Value& main = first(pod, "containers");
  EXPECT_EQ(text_at(main, "resources", "requests"), R"({"cpu":"1500m","memory":"1140850688","nvidia.com/gpu":"2"})");
  EXPECT_EQ(text_at(main, "resources", "limits"), R"({"memory":"1140850688","nvidia.com/gpu":"2"})");
  EXPECT_EQ(text_at(pod, "spec", "tolerations"), R"([{"key":"nvidia.com/gpu","operator":"Exists"}])");
  EXPECT_EQ(text_at(pod, "spec", "terminationGracePeriodSeconds"), "40");
  EXPECT_EQ(text_at(pod, "spec", "activeDeadlineSeconds"), "4230");
}

TEST(Pod, ToleratesTheTaintOfGpusOnceAndOnlyWhereItAsksForSome) {
  EXPECT_EQ(text_at(pod_of(some_task()), "spec", "tolerations"), "[]");
  WorkSpec work;
  work.resources = {.cpu_milli = 1000, .memory_bytes = 0, .gpus = 1};
  Task task = some_task();
  task.work = std::make_shared<const WorkSpec>(work);
  task.where.tolerations = {"nvidia.com/gpu"};
  EXPECT_EQ(text_at(pod_of(task), "spec", "tolerations"), R"([{"key":"nvidia.com/gpu","operator":"Exists"}])");
}

TEST(Pod, BeginsAsTheTemplate) {
  const Value pod = pod_of(some_task(), R"({"kind": "Pod", "metadata": {"labels": {"team": "coding"}}, "spec": {
      "nodeSelector": {"disk": "ssd"}, "imagePullSecrets": [{"name": "registry"}],
      "containers": [
        {"name": "proxy", "image": "proxy:1"},
        {"name": "task", "image": "python:3", "args": ["ignored"], "resources": {"limits": {"ephemeral-storage": "1Gi"}},
         "env": [{"name": "AWS_REGION", "value": "eu"}, {"name": "CHAPPE_JOIN_KEY", "value": "forged"}]}]}})");
  EXPECT_EQ(text_at(pod, "metadata", "labels", "team"), "coding");
  EXPECT_EQ(text_at(pod, "spec", "nodeSelector"), R"({"disk":"ssd"})");
  EXPECT_NE(find(&pod, "spec", "imagePullSecrets"), nullptr);
  const Value& main = first(pod, "containers");
  EXPECT_EQ(text_at(main, "image"), "python:3");
  EXPECT_EQ(main.find("args"), nullptr);
  EXPECT_EQ(text_at(main, "env"), R"([{"name":"AWS_REGION","value":"eu"},{"name":"CHAPPE_JOIN_KEY","value":"k3y"}])");
  EXPECT_EQ(text_at(main, "resources", "limits", "ephemeral-storage"), "1Gi");
  EXPECT_EQ(text_at(items_of(find(&pod, "spec", "containers")).at(1), "name"), "proxy");
}

TEST(Pod, HasWhatItsTaskMayAskFor) {
  Task task = with_pod({.node_selector = {{"gpu", "a100"}},
                        .volumes = {{.volume = "data", .path = "/data", .read_only = true}},
                        .service_account = "trainer"});
  task.where.tolerations = {"gpu"};
  const Value pod =
      pod_of(task, R"({"spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "d"}}],
                                              "tolerations": [{"key": "spot", "operator": "Exists"}]}})");
  EXPECT_EQ(text_at(pod, "spec", "nodeSelector"), R"({"gpu":"a100"})");
  EXPECT_EQ(text_at(pod, "spec", "tolerations"),
            R"([{"key":"spot","operator":"Exists"},{"key":"gpu","operator":"Exists"}])");
  EXPECT_EQ(text_at(pod, "spec", "serviceAccountName"), "trainer");
  EXPECT_EQ(text_at(pod, "spec", "automountServiceAccountToken"), "false")
      << "a task has no business at the API server";
  EXPECT_EQ(text_at(items_of(first(pod, "containers").find("volumeMounts")).at(0)),
            R"({"name":"data","mountPath":"/data","readOnly":true})");
}

TEST(Pod, RefusesWhatTheTemplateDoesNotOffer) {
  EXPECT_EQ(complaint_of(with_pod({.volumes = {{.volume = "data", .path = "/data"}}})),
            "volumes: the scheduler's pod template has no volume 'data'");
  EXPECT_EQ(
      complaint_of(with_pod({.node_selector = {{"disk", "hdd"}}}), R"({"spec": {"nodeSelector": {"disk": "ssd"}}})"),
      "node_selector: the scheduler's pod template has disk=ssd, the task may not change it to hdd");
  EXPECT_EQ(complaint_of(with_pod({.volumes = {{.volume = "chappe-bin", .path = "/chappe/bin"}}}),
                         R"({"spec": {"volumes": [{"name": "chappe-bin", "emptyDir": {}}]}})"),
            "volumes: /chappe/bin is the worker's own");
}

TEST(Pod, IsRestrictedWhateverTheTemplateSays) {
  EXPECT_THAT(complaint_of(some_task(), R"({"spec": {"hostNetwork": true}})"),
              HasSubstr("would not be \"restricted\": spec.hostNetwork: must not be true"));
  EXPECT_THAT(complaint_of(some_task(), R"({"spec": {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}})"),
              HasSubstr("spec.volumes[0]: must not be a hostPath"));
  EXPECT_THAT(complaint_of(some_task(), R"({"spec": {"securityContext": {"runAsUser": 0}}})"),
              HasSubstr("runAsUser: must not be 0"));
  EXPECT_THAT(complaint_of(some_task(),
                           R"({"spec": {"containers": [{"name": "s", "securityContext": {"privileged": true}}]}})"),
              HasSubstr("spec.containers[1].securityContext.privileged: must not be true"));
}

TEST(Pod, TemplatesAreCheckedBeforeTheyAreUsed) {
  const auto wrong = [](std::string_view text) {
    const auto checked = check_template(some_settings(json(text)));
    return checked ? std::string() : checked.error().message;
  };
  EXPECT_EQ(wrong("null"), "");
  EXPECT_EQ(wrong(R"({"kind": "Pod", "spec": {"nodeSelector": {"a": "b"}}})"), "");
  EXPECT_EQ(wrong("[]"), "it is no map: write it as a Pod, with 'metadata' and 'spec'");
  EXPECT_EQ(wrong(R"({"kind": "Deployment"})"), "it is a Deployment, not a Pod");
  EXPECT_EQ(wrong(R"({"containers": []})"),
            "'containers' does not belong there: write it as a Pod, with 'metadata' and 'spec'");
  EXPECT_EQ(wrong(R"({"spec": {"volumes": {"data": {}}}})"), "'spec.volumes' is no list");
  EXPECT_EQ(wrong(R"({"spec": {"containers": ["task"]}})"), "an item of 'spec.containers' is no map");
  EXPECT_THAT(wrong(R"({"spec": {"hostPID": true}})"), HasSubstr("spec.hostPID"));
}

TEST(Pod, LabelValuesKeepWhatTheyMay) {
  EXPECT_EQ(label_value("train"), "train");
  EXPECT_EQ(label_value("__a b/c__"), "a-b-c");
  EXPECT_EQ(label_value("___"), "");
  EXPECT_EQ(label_value(std::string(62, 'a') + "_b").size(), 62U);
}

TEST(PodSecurity, FindsEachThingThatIsForbidden) {
  const auto violations = [](std::string_view spec) { return find_violations(ValueMap{{"spec", json(spec)}}); };
  constexpr std::string_view kGood =
      R"({"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [{"securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]})";
  EXPECT_THAT(violations(kGood), IsEmpty());
  EXPECT_THAT(violations(R"({"containers": [{}]})"),
              ElementsAre("spec.containers[0].securityContext.allowPrivilegeEscalation: must be false",
                          "spec.containers[0].securityContext.capabilities.drop: must hold ALL",
                          "spec.containers[0].securityContext.runAsNonRoot: must be true",
                          "spec.containers[0].securityContext.seccompProfile: must be set here or for the pod"));
  const auto changed = [&](const char* where, std::string_view what) {
    Value spec = json(kGood);
    ValueMap& container = *list(*spec.as_map(), "containers")[0].as_map();
    const Value changes = json(what);
    for (const auto& [name, value] : *changes.as_map()) {
      if (std::string_view(where) == "spec") put(*spec.as_map(), name, value);
      if (std::string_view(where) == "pod") put(object(*spec.as_map(), "securityContext"), name, value);
      if (std::string_view(where) == "container") put(object(container, "securityContext"), name, value);
      if (std::string_view(where) == "ports") put(container, name, value);
    }
    return find_violations(ValueMap{{"spec", spec}}).size();
  };
  const std::pair<const char*, std::string_view> forbidden[] = {
      {"spec", R"({"hostNetwork": true})"},
      {"spec", R"({"hostPID": true})"},
      {"spec", R"({"hostIPC": true})"},
      {"spec", R"({"volumes": [{"name": "v", "nfs": {}}]})"},
      {"pod", R"({"runAsNonRoot": false})"},
      {"pod", R"({"runAsUser": 0})"},
      {"pod", R"({"seccompProfile": {"type": "Unconfined"}})"},
      {"pod", R"({"sysctls": [{"name": "kernel.msgmax", "value": "1"}]})"},
      {"pod", R"({"seLinuxOptions": {"type": "spc_t"}})"},
      {"pod", R"({"seLinuxOptions": {"user": "root"}})"},
      {"pod", R"({"appArmorProfile": {"type": "Unconfined"}})"},
      {"pod", R"({"windowsOptions": {"hostProcess": true}})"},
      {"container", R"({"privileged": true})"},
      {"container", R"({"allowPrivilegeEscalation": true})"},
      {"container", R"({"capabilities": {"drop": ["NET_RAW"]}})"},
      {"container", R"({"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}})"},
      {"container", R"({"procMount": "Unmasked"})"},
      {"container", R"({"runAsNonRoot": false})"},
      {"container", R"({"runAsUser": 0})"},
      {"ports", R"({"ports": [{"containerPort": 80, "hostPort": 80}]})"},
  };
  for (const auto& [where, what] : forbidden) EXPECT_EQ(changed(where, what), 1U) << where << " " << what;
  EXPECT_EQ(changed("container", R"({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}})"), 0U);
  EXPECT_EQ(changed("spec", R"({"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "secret": {}}]})"), 0U);
}

}  // namespace
}  // namespace chappe::launch
