/// \file
/// Every key of the language: what this version reads, what a later one will, and what others call it.
/// The JSON Schema (dags/schema) names the same; a test compares the two.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "dags/loader/reader.h"

namespace chappe::keys {

using Word = std::string_view;
using Foreign = std::pair<Word, Word>;

inline constexpr Word kDagKnown[] = {
    "name",       "description", "owner",     "namespace", "labels",         "params",
    "env",        "defaults",    "tasks",     "timeout",   "fail_fast",      "max_active_tasks",
    "weight",     "concurrency", "handlers",  "schedule",  "timezone",       "dst",
    "start_date", "end_date",    "paused",    "catchup",   "catchup_window", "max_catchup_runs",
    "templates",  "triggers",    "image",     "secrets",   "notify",         "include",
    "tests",      "deadline",    "artifacts", "outputs"};
inline constexpr Foreign kDagForeign[] = {{"dag_id", "name"},
                                          {"id", "name"},
                                          {"schedule_interval", "schedule"},
                                          {"timetable", "schedule"},
                                          {"schedules", "schedule"},
                                          {"cron", "schedule"},
                                          {"suspend", "paused"},
                                          {"steps", "tasks"},
                                          {"jobs", "tasks"},
                                          {"parameters", "params"},
                                          {"arguments", "params"},
                                          {"inputs", "params"},
                                          {"environment", "env"},
                                          {"default_args", "defaults"},
                                          {"tags", "labels"},
                                          {"artifactGC", "artifacts: {retention: ...}"},
                                          {"retention", "artifacts: {retention: ...}"},
                                          {"dagrun_timeout", "timeout"},
                                          {"max_active_runs", "concurrency: {max_runs: N}"},
                                          {"parallelism", "max_active_tasks"},
                                          {"notifications", "notify"},
                                          {"on_failure_callback", "handlers: {failure: ...}"},
                                          {"email_on_failure", "notify"},
                                          {"on_success_callback", "handlers: {success: ...}"},
                                          {"handlerOn", "handlers"},
                                          {"sla", "deadline"},
                                          {"doc_md", "description"},
                                          {"is_paused_upon_creation", "paused"},
                                          {"retries", "defaults: {retries: N}"},
                                          {"datasets", "triggers: [{asset: URI}]"},
                                          {"worker_selector", "defaults: {worker_selector: ...}"},
                                          {"resources", "defaults: {resources: ...}"},
                                          {"service_account", "defaults: {service_account: ...}"}};
inline constexpr KeySet kDag{"the DAG", kDagKnown, {}, kDagForeign};

inline constexpr Word kIncludedKnown[] = {"params",    "env",   "secrets",  "labels", "image",  "defaults",
                                          "templates", "tasks", "handlers", "notify", "include"};
inline constexpr KeySet kIncluded{"a file that is included", kIncludedKnown};

inline constexpr Word kScheduleKnown[] = {"cron", "every", "at", "timezone", "jitter"};
inline constexpr Foreign kScheduleForeign[] = {{"interval", "every"}, {"expression", "cron"}, {"date", "at"}};
inline constexpr KeySet kSchedule{"a schedule", kScheduleKnown, {}, kScheduleForeign};
inline constexpr Word kTriggerKnown[] = {"asset", "dag", "s3", "webhook", "mode", "params"};
inline constexpr Foreign kTriggerForeign[] = {
    {"dataset", "asset"}, {"assets", "asset"}, {"uri", "asset"}, {"workflow", "dag"}, {"inputs", "params"}};
inline constexpr KeySet kTrigger{"a trigger", kTriggerKnown, {}, kTriggerForeign};
inline constexpr Word kTreeKnown[] = {"all", "any"};
inline constexpr Foreign kTreeForeign[] = {{"and", "all"}, {"or", "any"}};
inline constexpr KeySet kTree{"'asset'", kTreeKnown, {}, kTreeForeign};
inline constexpr Word kDagTriggerKnown[] = {"name", "on"};
inline constexpr Foreign kDagTriggerForeign[] = {{"states", "on"}, {"state", "on"}, {"id", "name"}, {"dag_id", "name"}};
inline constexpr KeySet kDagTrigger{"'dag'", kDagTriggerKnown, {}, kDagTriggerForeign};
inline constexpr Word kObjectTriggerKnown[] = {"key", "every", "existing"};
inline constexpr Foreign kObjectTriggerForeign[] = {{"uri", "key"},
                                                    {"prefix", "key"},
                                                    {"bucket_key", "key"},
                                                    {"match", "key"},
                                                    {"poke_interval", "every"},
                                                    {"interval", "every"},
                                                    {"first_look", "existing"}};
inline constexpr KeySet kObjectTrigger{"'s3'", kObjectTriggerKnown, {}, kObjectTriggerForeign};
inline constexpr Word kDstKnown[] = {"gap", "fold"};
inline constexpr KeySet kDst{"'dst'", kDstKnown};

inline constexpr Word kNotifyKnown[] = {"on", "webhook", "email", "command"};
inline constexpr Foreign kNotifyForeign[] = {
    {"events", "on"}, {"slack", "webhook"}, {"url", "webhook"}, {"mail", "email"}, {"to", "email"}};
inline constexpr Word kNotifyFileKnown[] = {"notify"};
inline constexpr KeySet kNotifyFile{"a file of who is told", kNotifyFileKnown};
inline constexpr KeySet kNotify{"an item of 'notify'", kNotifyKnown, {}, kNotifyForeign};

inline constexpr Word kConcurrencyKnown[] = {"max_runs", "on_limit", "group"};
inline constexpr Foreign kConcurrencyForeign[] = {{"cancel-in-progress", "on_limit: replace"},
                                                  {"limit", "max_runs"},
                                                  {"max_active_runs", "max_runs"},
                                                  {"key", "group"}};
inline constexpr KeySet kConcurrency{
    "'concurrency'", kConcurrencyKnown, {}, kConcurrencyForeign, {}, "concurrency: {max_runs: 4}"};

inline constexpr Word kRunOutputsKnown[] = {"values", "artifacts"};
inline constexpr Foreign kRunOutputsForeign[] = {{"metrics", "values"}, {"parameters", "values"}};
inline constexpr KeySet kRunOutputs{"the DAG's 'outputs'", kRunOutputsKnown, {}, kRunOutputsForeign};
inline constexpr Word kRunArtifactKnown[] = {"from", "select"};
inline constexpr KeySet kRunArtifact{"an artifact of the DAG's 'outputs'", kRunArtifactKnown};

inline constexpr Word kDeadlineKnown[] = {"reference", "after", "action"};
inline constexpr Foreign kDeadlineForeign[] = {
    {"interval", "after"}, {"offset", "after"}, {"callback", "action"}, {"from", "reference"}};
inline constexpr KeySet kDeadline{"'deadline'", kDeadlineKnown, {}, kDeadlineForeign};
inline constexpr Word kArtifactsKnown[] = {"retention"};
inline constexpr Foreign kArtifactsForeign[] = {{"store", "object_store (in the scheduler's configuration)"},
                                                {"repository", "object_store (in the scheduler's configuration)"},
                                                {"prefix", "object_store (in the scheduler's configuration)"},
                                                {"gc", "retention"}};
inline constexpr KeySet kArtifacts{"'artifacts'", kArtifactsKnown, {}, kArtifactsForeign};
inline constexpr Word kRetentionKnown[] = {"on_success", "on_failure", "keep_last"};
inline constexpr Foreign kRetentionForeign[] = {
    {"success", "on_success"}, {"failure", "on_failure"}, {"keep", "keep_last"}, {"ttl", "on_success"}};
inline constexpr KeySet kRetention{"'retention'", kRetentionKnown, {}, kRetentionForeign};

inline constexpr Word kHandlersKnown[] = {"init", "success", "failure", "cancel", "wait", "late", "exit"};
inline constexpr Foreign kHandlersForeign[] = {
    {"on_success", "success"}, {"on_failure", "failure"}, {"errors", "failure"}, {"abort", "cancel"},
    {"on_cancel", "cancel"},   {"onExit", "exit"},        {"on_exit", "exit"},   {"finally", "exit"}};
inline constexpr KeySet kHandlers{"'handlers'", kHandlersKnown, {}, kHandlersForeign};

inline constexpr Word kParamKnown[] = {"type",    "description", "default",    "required",   "secret", "enum",
                                       "minimum", "maximum",     "min_length", "max_length", "pattern"};
inline constexpr Foreign kParamForeign[] = {{"min", "minimum"},  {"max", "maximum"},  {"regex", "pattern"},
                                            {"choices", "enum"}, {"options", "enum"}, {"value", "default"}};
inline constexpr KeySet kParam{"a parameter", kParamKnown, {}, kParamForeign};

inline constexpr Word kTaskKnown[] = {"id",           "description",
                                      "group",        "depends_on",
                                      "trigger_rule", "when",
                                      "run",          "command",
                                      "args",         "noop",
                                      "check",        "promote",
                                      "shell",        "env",
                                      "inputs",       "outputs",
                                      "foreach",      "retry",
                                      "retries",      "infra_retry",
                                      "timeout",      "queue_timeout",
                                      "kill_grace",   "pool",
                                      "slots",        "priority",
                                      "resources",    "allow_failure",
                                      "locks",        "max_active_per_dag",
                                      "rate",         "worker_selector",
                                      "tolerations",  "wait",
                                      "human",        "loop",
                                      "setup",        "teardown_of",
                                      "dag",          "uses",
                                      "cache",        "state",
                                      "image",        "container",
                                      "executor",     "node_selector",
                                      "volumes",      "service_account",
                                      "secrets",      "store_credentials",
                                      "on_start",     "on_retry",
                                      "on_success",   "on_failure",
                                      "on_skipped",   "latest_only",
                                      "deadline",     "depends_on_past",
                                      "http",         "lineage",
                                      "service",      "sidecars"};
inline constexpr Foreign kTaskElsewhere[] = {
    {"services",
     "containers beside the task's own are 'sidecars: [{name: db, image: ...}]'; a task that stays up for others has "
     "'service'"},
    {"weight", "that is the DAG's share; a task has 'priority' and 'slots'"},
    {"type", "what a task does is the key that it has: run, command, http, wait, dag and others"},
    {"params",
     "it gets them by 'env: {NAME: \"${{ params.name }}\"}', and a DAG that it runs by 'dag: {params: ...}'"}};
inline constexpr Foreign kTaskForeign[] = {{"needs", "depends_on"},
                                           {"depends", "depends_on"},
                                           {"dependencies", "depends_on"},
                                           {"upstream", "depends_on"},
                                           {"if", "when"},
                                           {"script", "run"},
                                           {"bash_command", "run"},
                                           {"cmd", "command"},
                                           {"name", "id"},
                                           {"task_id", "id"},
                                           {"environment", "env"},
                                           {"matrix", "foreach: {matrix: ...}"},
                                           {"with_items", "foreach: {items: ...}"},
                                           {"continue_on_error", "allow_failure"},
                                           {"execution_timeout", "timeout"},
                                           {"timeout_minutes", "timeout"},
                                           {"artifacts", "outputs: {artifacts: ...}"},
                                           {"retry_policy", "retry"},
                                           {"pool_slots", "slots"},
                                           {"priority_weight", "priority"},
                                           {"max_active_per_run", "foreach: {max_parallel: N}"},
                                           {"max_active_tis_per_dag", "max_active_per_dag"},
                                           {"memoize", "cache"},
                                           {"synchronization", "locks"},
                                           {"mutex", "locks"},
                                           {"request", "http"},
                                           {"daemon", "service"},
                                           {"inlets", "lineage: {inputs: ...}"},
                                           {"outlets", "lineage: {outputs: ...}"},
                                           {"nodeSelector", "node_selector"},
                                           {"serviceAccountName", "service_account"},
                                           {"on_success_callback", "on_success"},
                                           {"on_failure_callback", "on_failure"},
                                           {"on_retry_callback", "on_retry"},
                                           {"on_execute_callback", "on_start"},
                                           {"on_skipped_callback", "on_skipped"},
                                           {"queue", "worker_selector"},
                                           {"after", "depends_on"},
                                           {"bash", "run"},
                                           {"python", "run (and 'shell: python3')"},
                                           {"python_callable", "command: [python3, FILE]"},
                                           {"retry_delay", "retry: {limit: N, backoff: {initial: 5m}}"},
                                           {"retry_exponential_backoff", "retry: {limit: N, backoff: {factor: 2}}"},
                                           {"max_retry_delay", "retry: {limit: N, backoff: {max: 1h}}"},
                                           {"retryStrategy", "retry"},
                                           {"retryPolicy", "retry"},
                                           {"continueOn", "allow_failure"},
                                           {"activeDeadlineSeconds", "timeout"},
                                           {"sla", "deadline"},
                                           {"sensor", "wait"},
                                           {"poke_interval", "wait: {every: ...}"},
                                           {"expand", "foreach: {items: ...}"},
                                           {"withItems", "foreach: {items: ...}"},
                                           {"withParam", "foreach: {items: ...}"},
                                           {"withSequence", "foreach: {sequence: ...}"},
                                           {"template", "uses"},
                                           {"trigger_dag_id", "dag"},
                                           {"email", "notify (of the DAG)"},
                                           {"email_on_failure", "notify (of the DAG)"},
                                           {"url", "http: {url: ...}"},
                                           {"worker_group", "worker_selector"}};
inline constexpr KeySet kTask{"a task", kTaskKnown, {}, kTaskForeign, kTaskElsewhere};

inline constexpr Word kDefaultsKnown[] = {"shell",
                                          "env",
                                          "retry",
                                          "retries",
                                          "infra_retry",
                                          "timeout",
                                          "queue_timeout",
                                          "kill_grace",
                                          "pool",
                                          "slots",
                                          "priority",
                                          "resources",
                                          "allow_failure",
                                          "trigger_rule",
                                          "group",
                                          "locks",
                                          "max_active_per_dag",
                                          "rate",
                                          "worker_selector",
                                          "tolerations",
                                          "cache",
                                          "image",
                                          "container",
                                          "sidecars",
                                          "executor",
                                          "node_selector",
                                          "volumes",
                                          "service_account",
                                          "secrets",
                                          "store_credentials",
                                          "on_start",
                                          "on_retry",
                                          "on_success",
                                          "on_failure",
                                          "on_skipped",
                                          "deadline",
                                          "depends_on_past"};
inline constexpr Word kPodMountKnown[] = {"name", "path", "read_only"};
inline constexpr Foreign kPodMountForeign[] = {
    {"mount_path", "path"}, {"mountPath", "path"}, {"readOnly", "read_only"}};
inline constexpr KeySet kPodMount{"a volume", kPodMountKnown, {}, kPodMountForeign};
inline constexpr KeySet kDefaults{"'defaults'", kDefaultsKnown, {}, kTaskForeign, kTaskElsewhere};

inline constexpr Word kServiceKnown[] = {"ready", "port", "ready_timeout"};
inline constexpr Foreign kServiceForeign[] = {{"readiness", "ready"},      {"readiness_probe", "ready"},
                                              {"readinessProbe", "ready"}, {"health", "ready"},
                                              {"ports", "port"},           {"timeout", "ready_timeout"}};
inline constexpr KeySet kService{"'service'", kServiceKnown, {}, kServiceForeign};
inline constexpr Word kReadyKnown[] = {"http", "file"};
inline constexpr Foreign kReadyForeign[] = {{"httpGet", "http"}, {"url", "http"}, {"path", "file"}};
inline constexpr Foreign kReadyElsewhere[] = {
    {"port", "without 'ready' a service is ready when something takes connections at its port"},
    {"command", "let the service's own script make a file when it is ready, and say 'file: PATH'"}};
inline constexpr KeySet kReady{"'ready'", kReadyKnown, {}, kReadyForeign, kReadyElsewhere};

inline constexpr Word kDependencyKnown[] = {"task", "on"};
inline constexpr KeySet kDependency{"an item of 'depends_on'", kDependencyKnown};

inline constexpr Word kInputsKnown[] = {"artifacts"};
inline constexpr Foreign kInputsElsewhere[] = {
    {"params", "parameters reach a task by 'env: {NAME: \"${{ params.name }}\"}'"},
    {"parameters", "parameters reach a task by 'env: {NAME: \"${{ params.name }}\"}'"},
    {"values", "values of other tasks reach a task by 'env: {NAME: \"${{ tasks.other.outputs.name }}\"}'"}};
inline constexpr KeySet kInputs{"'inputs'", kInputsKnown, {}, {}, kInputsElsewhere};
inline constexpr Word kInputKnown[] = {"name", "path", "from", "asset", "s3", "select", "optional", "mode", "unpack"};
inline constexpr Foreign kInputForeign[] = {{"object", "s3"},        {"key", "s3"},     {"uri", "s3"},
                                            {"permissions", "mode"}, {"chmod", "mode"}, {"archive", "unpack"}};
inline constexpr KeySet kInput{"an input artifact", kInputKnown, {}, kInputForeign};
inline constexpr Word kSelectKnown[] = {"max", "min"};
inline constexpr KeySet kSelect{"'select'", kSelectKnown};

inline constexpr Word kOutputsKnown[] = {"artifacts", "values", "metrics"};
inline constexpr Foreign kOutputsForeign[] = {{"parameters", "values"}, {"xcom", "values"}};
inline constexpr KeySet kOutputs{"'outputs'", kOutputsKnown, {}, kOutputsForeign};
inline constexpr Word kOutputKnown[] = {"name",  "path",      "required", "non_empty", "pack",
                                        "asset", "retention", "sha256",   "schema"};
inline constexpr Foreign kOutputForeign[] = {
    {"optional", "required: false"}, {"uri", "asset"},     {"archive", "pack"},       {"checksum", "sha256"},
    {"artifactGC", "retention"},     {"ttl", "retention"}, {"expectations", "schema"}};
inline constexpr KeySet kOutput{"an output artifact", kOutputKnown, {}, kOutputForeign};
inline constexpr Word kAssetKnown[] = {"uri", "name", "immutable"};
inline constexpr KeySet kAsset{"'asset'", kAssetKnown};
inline constexpr Word kStateKnown[] = {"write", "default", "scope"};
inline constexpr Foreign kStateForeign[] = {
    {"from", "write"}, {"value", "write"}, {"output", "write"}, {"set", "write"}, {"initial", "default"}};
inline constexpr KeySet kState{"a state", kStateKnown, {}, kStateForeign};
inline constexpr Word kValueKnown[] = {"file", "json", "path", "default"};
inline constexpr KeySet kValue{"an output value", kValueKnown};

inline constexpr Word kForEachKnown[] = {"items",        "matrix",    "sequence", "s3_list",     "as",         "key",
                                         "max_parallel", "max_items", "on_empty", "min_success", "depth_first"};
inline constexpr Foreign kForEachForeign[] = {{"s3", "s3_list"},
                                              {"prefix", "s3_list"},
                                              {"with_items", "items"},
                                              {"in", "items"},
                                              {"max_concurrent", "max_parallel"}};
inline constexpr KeySet kForEach{"'foreach'", kForEachKnown, {}, kForEachForeign, {}, "foreach: {items: [...]}"};
inline constexpr Word kSequenceKnown[] = {"start", "count", "step"};
inline constexpr KeySet kSequence{"'sequence'", kSequenceKnown};

inline constexpr Word kHttpKnown[] = {"url", "method", "headers", "body", "json", "success", "max_redirects"};
inline constexpr Foreign kHttpForeign[] = {{"uri", "url"},
                                           {"endpoint", "url"},
                                           {"verb", "method"},
                                           {"data", "body"},
                                           {"content", "body"},
                                           {"success_condition", "success"},
                                           {"successCondition", "success"},
                                           {"response_check", "success"},
                                           {"timeout", "timeout (beside 'http')"},
                                           {"timeoutSeconds", "timeout (beside 'http')"},
                                           {"follow_redirects", "max_redirects"}};
inline constexpr KeySet kHttp{"'http'", kHttpKnown, {}, kHttpForeign};
inline constexpr Word kSubDagKnown[] = {"name", "params", "wait", "outputs", "artifacts"};
inline constexpr Foreign kSubDagForeign[] = {{"dag_id", "name"},      {"trigger_dag_id", "name"},
                                             {"conf", "params"},      {"parameters", "params"},
                                             {"arguments", "params"}, {"wait_for_completion", "wait"}};
inline constexpr KeySet kSubDag{"'dag'", kSubDagKnown, {}, kSubDagForeign};
inline constexpr Word kLoopKnown[] = {"until", "max_iterations", "interval"};
inline constexpr Foreign kLoopForeign[] = {{"max", "max_iterations"}, {"limit", "max_iterations"},
                                           {"while", "until"},        {"condition", "until"},
                                           {"every", "interval"},     {"delay", "interval"}};
inline constexpr KeySet kLoop{"'loop'", kLoopKnown, {}, kLoopForeign};

inline constexpr Word kCacheKnown[] = {"key", "scope", "ttl", "version"};
inline constexpr Foreign kCacheForeign[] = {
    {"max_age", "ttl"}, {"maxAge", "ttl"}, {"expires", "ttl"}, {"policy", "key"}};
inline constexpr KeySet kCache{"'cache'", kCacheKnown, {}, kCacheForeign};

inline constexpr Word kRetryKnown[] = {"limit", "on", "exit_codes", "backoff", "max_elapsed", "avoid_same_worker",
                                       "scale"};
inline constexpr Foreign kRetryForeign[] = {{"max", "limit"},
                                            {"count", "limit"},
                                            {"attempts", "limit"},
                                            {"retries", "limit"},
                                            {"max_retries", "limit"},
                                            {"delay", "backoff: {initial: ...}"},
                                            {"interval", "backoff: {initial: ...}"},
                                            {"retry_delay", "backoff: {initial: ...}"},
                                            {"intervalSec", "backoff: {initial: ...}"}};
inline constexpr KeySet kRetry{"'retry'", kRetryKnown, {}, kRetryForeign, {}, "retries: 3"};
inline constexpr Word kScaleKnown[] = {"cpu", "memory"};
inline constexpr Foreign kScaleForeign[] = {{"cpus", "cpu"}, {"mem", "memory"}};
inline constexpr KeySet kScale{"'scale'", kScaleKnown, {}, kScaleForeign};
inline constexpr Word kInfraRetryKnown[] = {"limit", "backoff"};
inline constexpr KeySet kInfraRetry{"'infra_retry'", kInfraRetryKnown};
inline constexpr Word kBackoffKnown[] = {"initial", "factor", "max", "jitter"};
inline constexpr Foreign kBackoffForeign[] = {{"delay", "initial"},
                                              {"duration", "initial"},
                                              {"multiplier", "factor"},
                                              {"max_delay", "max"},
                                              {"maxDuration", "max"}};
inline constexpr KeySet kBackoff{"'backoff'", kBackoffKnown, {}, kBackoffForeign};

inline constexpr Word kResourcesKnown[] = {"cpu", "memory", "gpu"};
inline constexpr Foreign kResourcesForeign[] = {{"cpus", "cpu"}, {"mem", "memory"}, {"gpus", "gpu"}};
inline constexpr KeySet kResources{"'resources'", kResourcesKnown, {}, kResourcesForeign};
inline constexpr Word kSecretKnown[] = {"env", "file", "kubernetes", "vault", "as"};
inline constexpr Foreign kSecretForeign[] = {{"variable", "env"},      {"path", "file"},
                                             {"secret", "kubernetes"}, {"secretKeyRef", "kubernetes"},
                                             {"mount_as", "as"},       {"type", "as"}};
inline constexpr KeySet kSecret{"a secret", kSecretKnown, {}, kSecretForeign};
inline constexpr Word kKubernetesSecretKnown[] = {"name", "key"};
inline constexpr Foreign kKubernetesSecretForeign[] = {{"secret", "name"}, {"secret_name", "name"}};
inline constexpr KeySet kKubernetesSecret{"'kubernetes'", kKubernetesSecretKnown, {}, kKubernetesSecretForeign};
inline constexpr Word kVaultSecretKnown[] = {"path", "key", "mount"};
inline constexpr Foreign kVaultSecretForeign[] = {{"field", "key"}, {"engine", "mount"}, {"mount_point", "mount"}};
inline constexpr KeySet kVaultSecret{"'vault'", kVaultSecretKnown, {}, kVaultSecretForeign};
inline constexpr Word kAllowFailureKnown[] = {"exit_codes"};
inline constexpr KeySet kAllowFailure{"'allow_failure'", kAllowFailureKnown};

inline constexpr Word kLineageKnown[] = {"inputs", "outputs"};
inline constexpr Foreign kLineageForeign[] = {
    {"inlets", "inputs"}, {"outlets", "outputs"}, {"reads", "inputs"}, {"writes", "outputs"}};
inline constexpr KeySet kLineage{"'lineage'", kLineageKnown, {}, kLineageForeign};

inline constexpr Word kLockKnown[] = {"name", "mode"};
inline constexpr KeySet kLock{"a lock", kLockKnown};
inline constexpr Word kRateKnown[] = {"limit", "per", "name"};
inline constexpr KeySet kRate{"'rate'", kRateKnown};

inline constexpr Word kCheckKnown[] = {"metric", "data", "drift"};
inline constexpr Foreign kCheckForeign[] = {{"schema", "data"},
                                            {"expectations", "data"},
                                            {"rows", "data: {rows: {min: 1}}"},
                                            {"row_count", "data: {rows: {min: 1}}"},
                                            {"columns", "data: {columns: {...}}"},
                                            {"nulls", "data: {columns: {NAME: {nulls: 0}}}"},
                                            {"not_null", "data: {columns: {NAME: {nulls: 0}}}"},
                                            {"unique", "data: {columns: {NAME: {unique: true}}}"},
                                            {"range", "data: {columns: {NAME: {min: 0, max: 1}}}"},
                                            {"quantiles", "data: {columns: {NAME: {quantiles: {...}}}}"}};
inline constexpr KeySet kCheck{"'check'", kCheckKnown, {}, kCheckForeign};
inline constexpr Word kSchemaKnown[] = {"format", "rows", "columns", "other_columns"};
inline constexpr Foreign kSchemaForeign[] = {{"row_count", "rows"}, {"additional_columns", "other_columns"}};
inline constexpr KeySet kSchema{"'schema'", kSchemaKnown, {}, kSchemaForeign};
inline constexpr Word kDataKnown[] = {"from", "format", "rows", "columns", "other_columns"};
inline constexpr Foreign kDataForeign[] = {{"row_count", "rows"},
                                           {"asset", "from: \"asset:NAME@ALIAS\""},
                                           {"artifact", "from"},
                                           {"additional_columns", "other_columns"}};
inline constexpr KeySet kData{"'data'", kDataKnown, {}, kDataForeign};
inline constexpr Word kDataColumnKnown[] = {"type", "nulls", "unique", "in",       "pattern",  "min",
                                            "max",  "mean",  "median", "distinct", "quantiles"};
inline constexpr Foreign kDataColumnForeign[] = {
    {"not_null", "nulls: 0"},     {"null", "nulls"},  {"missing", "nulls"},
    {"accepted_values", "in"},    {"enum", "in"},     {"values", "in"},
    {"regex", "pattern"},         {"dtype", "type"},  {"avg", "mean"},
    {"minimum", "min"},           {"maximum", "max"}, {"percentiles", "quantiles"},
    {"unique_count", "distinct"}, {"in_set", "in"}};
inline constexpr KeySet kDataColumn{"a column", kDataColumnKnown, {}, kDataColumnForeign};
inline constexpr Word kLimitsKnown[] = {"min", "max"};
inline constexpr KeySet kLimits{"a range", kLimitsKnown};
inline constexpr Word kDriftKnown[] = {"current", "baseline", "columns", "method",
                                       "max",     "alpha",    "format",  "optional"};
inline constexpr Foreign kDriftForeign[] = {{"from", "current"},  {"reference", "baseline"},
                                            {"threshold", "max"}, {"significance", "alpha"},
                                            {"p_value", "alpha"}, {"stattest", "method"}};
inline constexpr KeySet kDrift{"'drift'", kDriftKnown, {}, kDriftForeign};
inline constexpr Word kConditionKnown[] = {"name", "expr", "message"};
inline constexpr KeySet kCondition{"a condition", kConditionKnown};
inline constexpr Word kPromoteKnown[] = {"model", "alias", "from", "select", "keep_previous"};
inline constexpr KeySet kPromote{"'promote'", kPromoteKnown};

// "timeout", "on_timeout" and "late_after" are both kinds'.
inline constexpr Word kWaitKnown[] = {"until", "for",   "asset",   "newer_than", "s3",        "file",
                                      "http",  "every", "timeout", "on_timeout", "late_after"};
inline constexpr Foreign kWaitForeign[] = {{"version", "newer_than"},
                                           {"time", "until"},
                                           {"duration", "for"},
                                           {"key", "s3"},
                                           {"s3_key", "s3"},
                                           {"bucket_key", "s3"},
                                           {"path", "file"},
                                           {"url", "http: {url: ...}"},
                                           {"poke_interval", "every"},
                                           {"interval", "every"},
                                           {"deadline", "timeout"},
                                           {"soft_fail", "on_timeout: skip"},
                                           {"fallback", "on_timeout: skip"}};
inline constexpr Foreign kWaitElsewhere[] = {{"mode", "a wait holds no slot anyway"},
                                             {"deferrable", "a wait holds no slot anyway"}};
inline constexpr KeySet kWait{"'wait'", kWaitKnown, {}, kWaitForeign, kWaitElsewhere};
inline constexpr Word kHttpWaitKnown[] = {"url", "status"};
inline constexpr KeySet kHttpWait{"'http'", kHttpWaitKnown};
inline constexpr Word kHumanKnown[] = {"prompt", "form", "assignees", "timeout", "on_timeout", "late_after"};
inline constexpr Foreign kHumanForeign[] = {{"message", "prompt"}, {"fields", "form"}, {"options", "form"}};
inline constexpr KeySet kHuman{"'human'", kHumanKnown, {}, kHumanForeign};

}  // namespace chappe::keys
