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
}

void add_notify(CLI::App* command, NotifyOptions& notify) {
  command->add_option("--notify-secrets", notify.secrets, "Directory: secrets.NAME of a web hook is the file NAME")
      ->envname("CHAPPE_NOTIFY_SECRETS");
  command->add_option("--smtp", notify.smtp, "Mail server: smtp://HOST[:PORT] or smtps://HOST[:PORT]")
      ->envname("CHAPPE_SMTP");
  command->add_option("--smtp-login", notify.smtp_login, "File with USER:PASSWORD of the mail server")
      ->envname("CHAPPE_SMTP_LOGIN");
  command->add_option("--mail-from", notify.mail_from, "Address that e-mail comes from")->envname("CHAPPE_MAIL_FROM");
  command->add_option("--notify-command", notify.commands, "NAME=PATH of a program that DAGs may notify with")
      ->allow_extra_args(false);
}

void add_secrets(CLI::App* command, WorkerOptions& options) {
  command
      ->add_option("--task-credentials", options.task_credentials,
                   "'store': tasks find address and credentials of an S3 object store (the default); or 'none'")
      ->check(CLI::IsMember({"store", "none"}))
      ->envname("CHAPPE_TASK_CREDENTIALS");
  command
      ->add_option("--secret-env", options.secret_env,
                   "DAGs may name the worker's variable NAME as a secret; 'PG*' stands for several; may be repeated")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->envname("CHAPPE_SECRET_ENV");
  command->add_option("--secret-files", options.secret_files, "DAGs may name files in DIRECTORY as secrets")
      ->envname("CHAPPE_SECRET_FILES");
  command->add_option("--vault", options.vault, "Vault's address, such as https://vault:8200, for secrets of DAGs")
      ->envname("VAULT_ADDR");
  command
      ->add_option("--vault-token-file", options.vault_token_file,
                   "File with a token for Vault, read each time; default: VAULT_TOKEN")
      ->envname("CHAPPE_VAULT_TOKEN_FILE");
  command->add_option("--vault-namespace", options.vault_namespace, "Namespace of Vault; default: the root's")
      ->envname("VAULT_NAMESPACE");
  command->add_option("--vault-ca", options.vault_ca, "Who signs for Vault; default: the system's")
      ->envname("VAULT_CACERT");
}

}  // namespace

void add_wait_files(CLI::App* command, std::vector<std::string>& directories) {
  command->add_option("--wait-files", directories, "Tasks may wait for files beneath DIRECTORY; may be repeated")
      ->allow_extra_args(false)
      ->delimiter(':')
      ->envname("CHAPPE_WAIT_FILES");
}

void add_scheduler_options(CLI::App* command, SchedulerOptions& options) {
  command->add_option("--listen", options.listen, "HOST:PORT of the API; default 127.0.0.1 and a free port")
      ->envname("CHAPPE_LISTEN");
  command->add_option("--worker-listen", options.worker_listen, "Endpoint for workers, such as tcp://0.0.0.0:7331")
      ->envname("CHAPPE_WORKER_LISTEN");
  command->add_option("--authorized-workers", options.authorized_workers, "File with workers' public keys");
  command->add_option("--lease", options.lease, "Silence after which a worker's attempts are lost; default 60s");
  add_wait_files(command, options.wait_files);
  command->add_option("--pool", options.pools, "NAME=SLOTS; may be repeated")->allow_extra_args(false);
  command->add_option("--lock", options.locks, "NAME=PLACES of a lock that is shared; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--dags", options.dags, kDagsHelp)->envname("CHAPPE_DAGS");
  add_kubernetes(command, options.kubernetes);
  add_notify(command, options.notify);
  command->add_flag("--quit-with-parent", options.quit_with_parent, "Stop when the starting process is gone");
}

void add_worker_options(CLI::App* command, WorkerOptions& options) {
  command
      ->add_option("--scheduler", options.scheduler,
                   "Endpoint, such as tcp://HOST:7331; default: the state directory's")
      ->envname("CHAPPE_SCHEDULER");
  command->add_option("--server-key", options.server_key, "The scheduler's public key, or a file with it")
      ->envname("CHAPPE_SERVER_KEY");
  command->add_option("--key-file", options.key_file, "This worker's secret key")->envname("CHAPPE_KEY_FILE");
  command->add_option("--name", options.name, "Default: the host's name")->envname("CHAPPE_WORKER_NAME");
  command->add_option("--work-dir", options.work_dir, "Where attempts run")->envname("CHAPPE_WORK_DIR");
  command->add_option("--cpus", options.cpus, "Cores to offer; default: all");
  command->add_option("--memory", options.memory, "Memory to offer, such as 8GiB; default: all");
  command->add_option("--gpus", options.gpus, "GPUs to offer");
  command->add_option("--label", options.labels, "NAME=VALUE; may be repeated")->allow_extra_args(false);
  command->add_option("--taint", options.taints, "Take only tasks that tolerate NAME; may be repeated")
      ->allow_extra_args(false);
  command
      ->add_option("--task-env", options.task_env,
                   "Hand the worker's variable NAME on to tasks; 'AWS_*' stands for several; may be repeated")
      ->allow_extra_args(false);
  add_secrets(command, options);
  command
      ->add_option("--container-socket", options.container_socket,
                   "Of Podman or Docker; 'none': no containers; default: DOCKER_HOST, or the usual places")
      ->envname("CHAPPE_CONTAINER_SOCKET");
  command
      ->add_option("--metrics-listen", options.metrics_listen,
                   "HOST:PORT where Prometheus may read /metrics; to anybody who can reach it")
      ->envname("CHAPPE_WORKER_METRICS_LISTEN");
  command->add_flag("--keep-work-dirs", options.keep_work_dirs, "Do not clean up after attempts, for debugging");
  command->add_flag("--one-attempt", options.one_attempt,
                    "Take one attempt and leave: how the scheduler runs it in a pod");
  command->add_option("--copy-to", options.copy_to, "Copy this program to FILE, and do no more");
  command->add_flag("--quit-with-parent", options.quit_with_parent, "Stop when the starting process is gone");
}

}  // namespace chappe::cli
