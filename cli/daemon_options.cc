#include "cli/daemon_options.h"

#include <cstdint>

namespace chappe::cli {
namespace {

constexpr std::uint32_t kPodsMax = 10'000;

void add_kubernetes(CLI::App* command, SchedulerOptions::Kubernetes& options) {
  command
      ->add_option("--kubernetes-namespace", options.namespace_name,
                   "Namespace of the pods of tasks with 'executor: kubernetes'; default: there are none")
      ->envname("CHAPPE_KUBERNETES_NAMESPACE");
  command->add_option("--kubernetes-api", options.api, "URL of the API server; default: that of the pod that this is")
      ->envname("CHAPPE_KUBERNETES_API");
  command->add_option("--kubernetes-token-file", options.token_file, "Token for it; default: the service account's");
  command->add_option("--kubernetes-ca-file", options.ca_file, "Who signs for it; default: the cluster's");
  command->add_option("--kubernetes-template", options.pod_template, "A Pod, in YAML, that all pods begin as")
      ->envname("CHAPPE_KUBERNETES_TEMPLATE");
  command->add_option("--kubernetes-image", options.image, "Image that has the chappe command")
      ->envname("CHAPPE_KUBERNETES_IMAGE");
  command->add_option("--kubernetes-scheduler", options.scheduler, "tcp://HOST:PORT at which pods find this scheduler")
      ->envname("CHAPPE_KUBERNETES_SCHEDULER");
  command->add_option("--kubernetes-pods", options.pods_max, "Pods at a time; default 100")
      ->check(CLI::Range(1U, kPodsMax))
      ->envname("CHAPPE_KUBERNETES_PODS");
  command
      ->add_option("--default-executor", options.default_executor,
                   "Of tasks that name no 'executor': worker (the default) or kubernetes")
      ->check(CLI::IsMember({"worker", "kubernetes"}))
      ->envname("CHAPPE_DEFAULT_EXECUTOR");
}

void add_fleet(CLI::App* command, SchedulerOptions::Kubernetes& options) {
  command
      ->add_option("--kubernetes-workers", options.workers,
                   "Deployment of workers that is kept as large as what waits needs; default: none")
      ->envname("CHAPPE_KUBERNETES_WORKERS");
  command
      ->add_option("--kubernetes-workers-namespace", options.workers_namespace,
                   "Its namespace; default: that of the pod that this is")
      ->envname("CHAPPE_KUBERNETES_WORKERS_NAMESPACE");
  command->add_option("--kubernetes-workers-min", options.workers_min, "Fewest of them; default 0")
      ->check(CLI::Range(0U, kPodsMax))
      ->envname("CHAPPE_KUBERNETES_WORKERS_MIN");
  command->add_option("--kubernetes-workers-max", options.workers_max, "Most of them; default 10")
      ->check(CLI::Range(1U, kPodsMax))
      ->envname("CHAPPE_KUBERNETES_WORKERS_MAX");
  command->add_option("--kubernetes-workers-idle", options.workers_idle,
                      "How long they must have been too many before some go; default 5m");
  command->add_option("--kubernetes-workers-every", options.workers_every, "How often to look; default 5s");
}

void add_notify(CLI::App* command, NotifyOptions& notify) {
  command->add_option("--notify-secrets", notify.secrets, "Directory: secrets.NAME of a web hook is the file NAME")
      ->envname("CHAPPE_NOTIFY_SECRETS");
  command->add_option("--smtp", notify.smtp, "Mail server: smtp://HOST[:PORT] or smtps://HOST[:PORT]")
      ->envname("CHAPPE_SMTP");
  command->add_option("--smtp-login", notify.smtp_login, "File with USER:PASSWORD of the mail server")
      ->envname("CHAPPE_SMTP_LOGIN");
  command->add_option("--smtp-ca-file", notify.smtp_ca, "Who signs for the mail server; default: the machine's")
      ->envname("CHAPPE_SMTP_CA_FILE");
  command->add_option("--notify-default", notify.defaults, "File with the 'notify' of DAGs that do not say who is told")
      ->envname("CHAPPE_NOTIFY_DEFAULT");
  command->add_option("--mail-from", notify.mail_from, "Address that e-mail comes from")->envname("CHAPPE_MAIL_FROM");
  command->add_option("--notify-command", notify.commands, "NAME=PATH of a program that DAGs may notify with")
      ->allow_extra_args(false);
}

void add_wait_files(CLI::App* command, std::vector<std::string>& directories) {
  command->add_option("--wait-files", directories, "Tasks may wait for files beneath DIRECTORY; may be repeated")
      ->allow_extra_args(false)
      ->delimiter(':')
      ->envname("CHAPPE_WAIT_FILES");
}

}  // namespace

void add_local_scheduler_options(CLI::App* command, SchedulerOptions& options) {
  command->add_option("--listen", options.listen, "HOST:PORT of the API; default 127.0.0.1 and a free port")
      ->envname("CHAPPE_LISTEN");
  command->add_option("--lease", options.lease, "Silence after which a worker's attempts are lost; default 60s");
  command
      ->add_option("--run-retention", options.run_retention,
                   "Runs that ended longer ago go, such as 400d, but for what others descend from; default: never")
      ->envname("CHAPPE_RUN_RETENTION");
  add_wait_files(command, options.wait_files);
  command->add_option("--pool", options.pools, "NAME=SLOTS; may be repeated")->allow_extra_args(false);
  command->add_option("--lock", options.locks, "NAME=PLACES of a lock that is shared; may be repeated")
      ->allow_extra_args(false);
  command
      ->add_option("--dags", options.dags, "A folder of DAG files that deploy themselves, and again when they change")
      ->envname("CHAPPE_DAGS");
  add_notify(command, options.notify);
}

std::vector<std::string> given_scheduler_words(const CLI::App& command) {
  CLI::App known;
  SchedulerOptions unused;
  add_local_scheduler_options(&known, unused);
  std::vector<std::string> words;
  for (const CLI::Option* option : known.get_options()) {
    const CLI::Option* given = command.get_option_no_throw(option->get_name());
    if (given == nullptr || option == known.get_help_ptr()) continue;
    for (const std::string& value : given->results()) words.insert(words.end(), {option->get_name(), value});
  }
  return words;
}

void add_scheduler_options(CLI::App* command, SchedulerOptions& options) {
  add_local_scheduler_options(command, options);
  command->add_option("--worker-listen", options.worker_listen, "Endpoint for workers, such as tcp://0.0.0.0:7331")
      ->envname("CHAPPE_WORKER_LISTEN");
  command->add_option("--authorized-workers", options.authorized_workers, "File with workers' public keys");
  add_kubernetes(command, options.kubernetes);
  add_fleet(command, options.kubernetes);
  command->add_flag("--quit-with-parent", options.quit_with_parent, "Stop when the starting process is gone");
}

}  // namespace chappe::cli
