#include "cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/backfill_commands.h"
#include "cli/commands.h"
#include "cli/config_file.h"
#include "cli/daemon_options.h"
#include "cli/daemons.h"
#include "cli/examples.h"
#include "cli/exit_code.h"
#include "cli/prune.h"
#include "cli/standalone.h"
#include "cli/state_commands.h"
#include "cli/state_dir.h"
#include "cli/stray_word.h"
#include "cli/worker/log_to_stderr.h"
#include "engine/base/text.h"
#include "engine/ports/log.h"

namespace chappe::cli {
namespace {

constexpr const char* kRunHelp = "A run's id, a unique beginning of it, or 'latest'";
constexpr std::uint32_t kWorkersMax = 64;

/// Everything that the arguments can set, and the command that they name.
class CommandLine {
 public:
  CommandLine() : app_("Runs DAGs of batch work: ingest, train, validate, deploy.", "chappe") {
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.set_version_flag("--version", CHAPPE_VERSION);
    app_.get_formatter()->column_width(34);
    app_.footer(
        "Begin with: chappe run FILE\nExit codes: 0 well, 1 failure, 2 usage or a DAG file with mistakes, 3 the run "
        "failed,\n"
        "4 waiting was given up, 5 the run was cancelled, 128+n signal n.");
    add_shared_options();
    add_daemons();
    add_checks();
    add_run_commands();
    add_deployment_commands();
    add_backfill_commands(app_, session_, backfill_, command_);
    add_state_commands(app_, session_, state_options_, command_);
    add_reading_commands();
    add_asset_commands();
    add_access_commands();
    add_prune_command(app_, session_, prune_, command_);
    add_config();
    add("version", "Print the version")->callback([this] {
      command_ = [] {
        print(std::string(CHAPPE_VERSION) + "\n");
        return int{kOk};
      };
    });
    add_examples(app_);
  }

  int run(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() != 0) {
        if (const std::string wrong = describe_stray_word(app_); !wrong.empty()) return complain(wrong, kUsage);
      }
      return app_.exit(error) == 0 ? kOk : kUsage;
    }
    if (auto configured = apply_config_file(); !configured) return complain(configured.error().message, kUsage);
    session_.output = make_output(format_, no_colour_);
    return command_();
  }

 private:
  Result<void> apply_config_file() {
    const std::filesystem::path file = find_config_file(config_file_);
    if (file.empty()) return {};
    // Daemons that this process starts read the same file.
    (void)::setenv("CHAPPE_CONFIG", std::filesystem::absolute(file).c_str(), 1);
    auto settings = read_config_file(file, app_);
    if (!settings) return fail(settings.error());
    settings_ = *std::move(settings);
    return apply_settings(settings_, app_);
  }

  /// The scheduler's options that may change while it runs. What was given as an option stays.
  Result<RereadOptions> reread() {
    const std::filesystem::path file = find_config_file(config_file_);
    auto fresh = file.empty() ? Result<std::vector<Setting>>() : read_config_file(file, app_);
    if (!fresh) return fail(fresh.error());
    const auto now = [&](const char* name) { return values_now(settings_, *fresh, app_, "scheduler", name); };
    RereadOptions options{now("pool"), now("lock")};
    for (const std::string& name : changed_settings(settings_, *fresh, "scheduler")) {
      if (name != "scheduler.pool" && name != "scheduler.lock") log::warn("{} changes at the next start", name);
    }
    return options;
  }

  CLI::App* add(const std::string& name, const std::string& help) {
    CLI::App* command = app_.add_subcommand(name, help);
    command->fallthrough();
    return command;
  }

  void does(CLI::App* command, std::function<int()> what) {
    command->callback([this, what = std::move(what)] { command_ = what; });
  }

  void add_shared_options() {
    app_.add_option("--server", session_.server.server, "URL of a scheduler; default: the one of the state directory")
        ->envname("CHAPPE_SERVER");
    app_.add_option("--token", session_.server.token, "API token; better: CHAPPE_TOKEN, or the state directory's")
        ->envname("CHAPPE_TOKEN");
    app_.add_option("--state-dir", session_.server.state_dir, "Default: $XDG_STATE_HOME/chappe, ~/.local/state/chappe")
        ->envname("CHAPPE_STATE_DIR");
    app_.add_option("--config", config_file_,
                    "Settings as YAML; default: ~/.config/chappe/chappe.yaml, /etc/chappe/chappe.yaml");
    app_.add_option("--object-store", session_.object_store, "s3://BUCKET[/PREFIX] or file:///DIR")
        ->envname("CHAPPE_OBJECT_STORE");
    app_.add_option("-o,--output", format_, "table or json")->check(CLI::IsMember({"table", "json"}));
    app_.add_flag("--no-color", no_colour_, "No colours (also: NO_COLOR)");
    app_.add_option("--log-level", log_level_, "Of daemons: debug, info, warning or error")
        ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
        ->envname("CHAPPE_LOG_LEVEL");
  }

  void start_log() { log_to_stderr(log::parse_level(log_level_).value_or(log::Level::kInfo)); }

  void add_daemons() {
    CLI::App* standalone = add("standalone", "Run a scheduler and workers on this machine until stopped");
    standalone->add_option("--workers", standalone_.workers, "Worker processes, which share the cores; default 1")
        ->check(CLI::Range(1U, kWorkersMax));
    add_local_scheduler_options(standalone, handed_on_);
    standalone->add_option("--container-socket", standalone_.container_socket, "As the worker's");
    standalone->add_flag("--quit-with-parent", standalone_.quit_with_parent, "Stop when the starting process is gone");
    does(standalone, [this, standalone] { return start_standalone(*standalone); });

    CLI::App* scheduler = add("scheduler", "Run the scheduler daemon");
    add_scheduler_options(scheduler, scheduler_);
    does(scheduler, [this] {
      start_log();
      scheduler_.state_dir = session_.server.state_dir;
      scheduler_.object_store = session_.object_store;
      scheduler_.reread = [this] { return reread(); };
      return start_scheduler(scheduler_);
    });
    add_worker();
  }

  void add_worker() {
    CLI::App* worker = add("worker", "Run a worker daemon");
    add_worker_options(worker, worker_);
    does(worker, [this] {
      start_log();
      worker_.object_store = session_.object_store;
      return start_worker(worker_, session_.server.state_dir);
    });
  }

  int start_standalone(const CLI::App& command) {
    start_log();
    auto state_dir = find_state_dir(session_.server.state_dir);
    if (!state_dir) return complain(state_dir.error());
    standalone_.state_dir = *std::move(state_dir);
    standalone_.object_store = session_.object_store;
    standalone_.scheduler_words = given_scheduler_words(command);
    return run_standalone(standalone_);
  }

  void add_params(CLI::App* command) {
    command->add_option("-p,--param", run_.params, "NAME=VALUE; may be repeated")->allow_extra_args(false);
    command->add_option("--params-file", run_.params_file, "A JSON object with parameters");
  }

  void add_run_options(CLI::App* command) {
    add_params(command);
    command->add_option("--logical-time", run_.logical_time, "What time the run is about (ISO 8601)");
    command->add_flag("--no-cache", run_.no_cache, "Use no result again, and keep those of this run instead");
    command->add_option("--request-id", run_.request_id, "The same id makes one run, however often it is asked for");
    command->add_option("--timeout", run_.timeout, "Give up waiting after this long, such as 30m");
  }

  void add_waiting(CLI::App* command) {
    command->add_flag("-w,--wait", run_.wait, "Follow the run to its end");
    command->add_option("--timeout", run_.timeout, "Give up waiting after this long");
  }

  void add_checks() {
    CLI::App* validate = add("validate", "Check DAG files; complaints as FILE:LINE:COLUMN");
    validate->add_option("file", files_, "DAG files")->required();
    does(validate, [this] { return validate_files(session_, files_); });

    CLI::App* plan = add("plan", "Show what a file and a run of it would do, and when it would start by itself");
    plan->add_option("file", run_.target, "A DAG file")->required();
    add_params(plan);
    plan->add_option("--logical-time", run_.logical_time, "What time the run is about (ISO 8601)");
    does(plan, [this] { return plan_file(session_, run_); });

    CLI::App* test = add("test", "Run the tests that DAG files hold, each on its own, without a cluster");
    test->add_option("file", test_.paths, "DAG files, or folders of them")->required();
    test->add_option("-t,--test", test_.test, "Only tests with this in their names");
    test->add_option("--junit", test_.junit, "Write a report here, too, as JUnit's XML");
    test->add_flag("--keep", test_.keep, "Keep what each test ran in, to look at");
    does(test, [this] { return test_files(session_, test_); });

    CLI::App* cron = add("cron", "Show when a cron expression fires next");
    cron->add_option("expression", cron_.expression, "Five fields in one word: '30 3 * * 1', or @daily and the like")
        ->required();
    cron->add_option("--timezone", cron_.timezone, "As in Europe/Paris; default: UTC");
    cron->add_option("--from", cron_.from, "From this time on, local to the zone unless it names one; default: now");
    cron->add_option("--count", cron_.count, "How many times")->check(CLI::Range(1U, 10'000U));
    cron->add_option("--dst", cron_.dst, "gap=shift|skip,fold=once|twice; default: gap=shift,fold=once");
    does(cron, [this] { return show_cron(session_, cron_); });

    does(add("schema", "Print the JSON Schema of DAG files"), [] { return print_schema(); });
    add_import();
  }

  void add_import() {
    CLI::App* import = add("import", "Make a DAG file of another scheduler's");
    import->require_subcommand(1);
    CLI::App* argo = import->add_subcommand("argo", "Of an Argo Workflow, WorkflowTemplate or CronWorkflow");
    argo->fallthrough();
    argo->add_option("file", file_, "Argo's YAML")->required();
    argo->add_option("--output", output_file_, "Where to write the DAG file; default: stdout");
    argo->add_flag("--processes", all_, "Let tasks be processes of the worker; images become comments");
    does(argo, [this] { return import_argo_file(file_, output_file_, all_); });
  }

  void add_run_commands() {
    CLI::App* run = add("run", "Run a DAG file and wait; starts a scheduler and a worker where none serves");
    run->add_option("file", run_.target, "A DAG file")->required();
    add_run_options(run);
    run->add_option("--workers", run_.workers, "Worker processes, where they are started")
        ->check(CLI::Range(1U, kWorkersMax));
    does(run, [this] { return run_file(session_, run_); });

    CLI::App* submit = add("submit", "Hand a DAG file to the scheduler and start a run");
    submit->add_option("file", run_.target, "A DAG file")->required();
    add_run_options(submit);
    submit->add_flag("-w,--wait", run_.wait, "Follow the run to its end");
    does(submit, [this] { return submit_file(session_, run_); });

    CLI::App* trigger = add("trigger", "Start a run of a DAG that the scheduler knows");
    trigger->add_option("dag", run_.target, "Name of a DAG")->required();
    add_run_options(trigger);
    trigger->add_flag("-w,--wait", run_.wait, "Follow the run to its end");
    does(trigger, [this] { return trigger_dag(session_, run_); });

    CLI::App* retry = add("retry", "Run failed tasks of a run again, and what depends on them");
    retry->add_option("run", retry_.run, kRunHelp)->required();
    CLI::Option* tasks = retry->add_option("task", retry_.tasks, "Tasks to run again; default: all that failed");
    retry->add_flag("--downstream", retry_.downstream, "And what depends on them; so it is without --upstream")
        ->needs(tasks);
    retry->add_flag("--upstream", retry_.upstream, "And what they depend on")->needs(tasks);
    retry->add_flag("--only-failed", retry_.only_failed, "Of these only what did not succeed, and nothing else")
        ->needs(tasks);
    add_waiting(retry);
    does(retry, [this] { return retry_run(session_, retry_, run_); });

    CLI::App* mark = add("mark", "Say how a task of a run ended; the run goes on from there");
    mark->add_option("run", run_id_, kRunHelp)->required();
    mark->add_option("task", task_, "A task, or one instance of it: train[KEY]")->required();
    mark->add_option("state", state_, "success, failed or skipped")
        ->required()
        ->check(CLI::IsMember({"success", "failed", "skipped"}));
    add_waiting(mark);
    does(mark, [this] { return mark_task(session_, run_id_, task_, state_, run_); });

    CLI::App* again = add("rerun", "Start a new run with the parameters and the logical time of another");
    again->add_option("run", run_id_, kRunHelp)->required();
    again->add_option("--version", version_, "latest, or a version's hash; default: the run's own");
    add_params(again);
    add_waiting(again);
    does(again, [this] { return rerun(session_, run_id_, version_, run_); });

    CLI::App* human = add("human", "List what people are asked, or answer");
    human->require_subcommand(0, 1);
    human->callback([this, human] {  // After that of its subcommand.
      if (human->get_subcommands().empty()) command_ = [this] { return list_questions(session_); };
    });
    CLI::App* complete = human->add_subcommand("complete", "Answer what a task asks");
    complete->fallthrough();
    complete->add_option("run", run_id_, kRunHelp)->required();
    complete->add_option("task", task_, "The task that asks")->required();
    complete->add_option("--set", answers_, "FIELD=VALUE; may be repeated")->allow_extra_args(false);
    does(complete, [this] { return answer_question(session_, run_id_, task_, answers_); });

    CLI::App* notifications = add("notifications", "See what people were told, and what came of it");
    notifications->require_subcommand(1);
    CLI::App* list = notifications->add_subcommand("list", "The latest hundred, newest first");
    list->fallthrough();
    list->add_option("--state", state_, "pending, sent, summarised or given_up");
    does(list, [this] { return list_notifications(session_, state_); });

    CLI::App* cancel = add("cancel", "Stop a run");
    cancel->add_option("run", run_id_, kRunHelp)->required();
    does(cancel, [this] { return cancel_run(session_, run_id_); });
  }

  void add_deployment_commands() {
    CLI::App* deploy = add("deploy", "Make files the versions that new runs are of; their schedules start runs");
    deploy->add_option("file", files_, "DAG files, or folders of them")->required();
    does(deploy, [this] { return deploy_files(session_, files_); });

    CLI::App* pause = add("pause", "Let the schedule of a deployed DAG rest");
    pause->add_option("dag", run_.target, "Name of a DAG")->required();
    does(pause, [this] { return pause_dag(session_, run_.target, true); });
    CLI::App* unpause = add("unpause", "Let the schedule of a paused DAG go on");
    unpause->add_option("dag", run_.target, "Name of a DAG")->required();
    does(unpause, [this] { return pause_dag(session_, run_.target, false); });
    CLI::App* undeploy = add("undeploy", "Let nothing start a DAG by itself any more; its runs go on");
    undeploy->add_option("dag", run_.target, "Name of a DAG")->required();
    does(undeploy, [this] { return undeploy_dag(session_, run_.target); });
    CLI::App* webhooks = add("webhooks", "List the webhooks of a deployed DAG, with their secrets");
    webhooks->add_option("dag", run_.target, "Name of a DAG")->required();
    does(webhooks, [this] { return list_webhooks(session_, run_.target); });
  }

  void add_reading_commands() {
    CLI::App* runs = add("runs", "List runs, newest first");
    runs->add_option("--dag", list_.dag, "Of this DAG only");
    runs->add_option("--backfill", list_.backfill, "Of this backfill only");
    runs->add_option("--state", list_.state, "queued, running, success, failed or cancelled");
    add_page_options(runs, list_.page);
    does(runs, [this] { return list_runs(session_, list_); });

    does(add("dags", "List DAGs: when they run next, and how they ran last"), [this] { return list_dags(session_); });

    CLI::App* show = add("show", "Show a run, or one of its tasks with all attempts");
    show->add_option("run", run_id_, kRunHelp)->required();
    show->add_option("task", task_, "A task: train, or train[KEY]");
    show->add_flag("--all", all_, "All tasks of a large run");
    does(show, [this] { return show_run(session_, run_id_, task_, all_); });

    CLI::App* logs = add("logs", "Print what a task wrote");
    logs->add_option("run", run_id_, kRunHelp)->required();
    logs->add_option(
        "task", task_,
        "A task: train, or train[KEY]; default: the only one, or the first that failed and wrote something");
    logs->add_option("--attempt", attempt_, "Its number; default: the latest");
    logs->add_flag("-f,--follow", log_.follow, "Go on until the attempt ends");
    logs->add_flag("--timestamps", log_.timestamps, "In front of each line when it was written");
    logs->add_option("--tail", log_.tail, "Only the last so many lines")->check(CLI::Range(0, 1'000'000));
    logs->add_option("--since", log_.since, "Only lines from then on: 10m ago, or a time (ISO 8601)");
    does(logs, [this] { return show_log(session_, run_id_, task_, attempt_, log_); });

    CLI::App* explain = add("explain", "Say what each unfinished task waits for, or why it did not succeed");
    explain->add_option("run", run_id_, kRunHelp)->required();
    explain->add_option("task", task_, "One task only");
    does(explain, [this] { return explain_run(session_, run_id_, task_); });

    does(add("workers", "List workers, and how full pools are"), [this] { return list_workers(session_); });
  }

  void add_asset_commands() {
    CLI::App* assets = add("assets", "List published data sets and models, or the versions of one");
    assets->add_option("asset", asset_, "A name, a URI, a version's number, or NAME@ALIAS");
    assets->add_flag("--all-versions", all_, "Every version of every asset");
    asset_page_.limit = 1'000;
    add_page_options(assets, asset_page_);
    does(assets, [this] { return list_assets(session_, asset_, all_, asset_page_); });

    CLI::App* lineage = add("lineage", "Show what an asset was made from, and what was made with it");
    lineage->add_option("asset", asset_, "A name, a URI, a version's number, NAME@ALIAS, or a URI that tasks declare")
        ->required();
    lineage->add_option("--direction", direction_, "up, down or both")->check(CLI::IsMember({"up", "down", "both"}));
    lineage->add_option("--depth", depth_, "Attempts to walk past")->check(CLI::Range(1U, 100U));
    does(lineage, [this] { return show_lineage(session_, asset_, direction_, depth_); });

    CLI::App* aliases = add("aliases", "List aliases, show one's history, or move one");
    aliases->add_option("alias", alias_.alias, "MODEL, or MODEL@ALIAS for its history");
    CLI::Option* set =
        aliases->add_option("--set", alias_.move_to, "Move MODEL@ALIAS to this version: its number, or NAME@ALIAS");
    aliases->add_flag("--remove", alias_.remove, "Remove MODEL@ALIAS")->excludes(set);
    does(aliases, [this] { return show_aliases(session_, alias_); });
  }

  void add_config() {
    CLI::App* config = add("config", "Show settings, and where they are from");
    config->require_subcommand(1);
    CLI::App* show = config->add_subcommand("show", "All that options, environment and file may set");
    show->fallthrough();
    show->add_flag("--origin", all_, "Also where each is from");
    does(show, [this] { return show_config(session_.output, effective_settings(settings_, app_), all_); });
  }

  void add_access_commands() {
    CLI::App* token = add("token", "Make, list or revoke tokens for the API");
    token->require_subcommand(1);
    CLI::App* create = token->add_subcommand("create", "Make a token; it is printed once and kept nowhere");
    create->fallthrough();
    create->add_option("name", token_.name, "What the audit log calls whoever uses it")->required();
    create->add_option("--role", token_.role, "viewer, operator, author or admin; default: viewer")
        ->check(CLI::IsMember({"viewer", "operator", "author", "admin"}));
    create->add_option("--expires", token_.expires, "After this long, such as 30d, or never; default: 90d");
    does(create, [this] { return create_token(session_, token_); });
    CLI::App* list = token->add_subcommand("list", "List tokens by name");
    list->fallthrough();
    does(list, [this] { return list_tokens(session_); });
    CLI::App* revoke = token->add_subcommand("revoke", "Let nobody in with this token any more");
    revoke->fallthrough();
    revoke->add_option("name", token_.name, "The token's name")->required();
    does(revoke, [this] { return revoke_token(session_, token_.name); });

    CLI::App* key = add("worker-key", "Make a key for one more worker, and print its line for authorized_workers");
    key->add_option("name", token_.name, "Of the files NAME.key and NAME.pub")->required();
    key->add_option("--directory", directory_, "Where to put them; default: here");
    does(key, [this] { return make_worker_key(token_.name, directory_); });

    CLI::App* audit = add("audit", "Show who did what, or was refused it");
    add_page_options(audit, list_.page);
    audit->add_flag("--verify", verify_, "Check that every row is as it was written");
    does(audit, [this] { return verify_ ? verify_audit(session_) : show_audit(session_, list_.page); });
  }

  CLI::App app_;
  std::function<int()> command_;
  Session session_;
  std::vector<std::string> answers_;
  std::string format_ = "table";
  bool no_colour_ = false;
  std::string log_level_ = "info";
  std::string config_file_;
  std::vector<Setting> settings_;  ///< Of the file.
  StandaloneConfig standalone_;
  SchedulerOptions handed_on_;  ///< Its own: what the environment says is told to the options of all commands.
  SchedulerOptions scheduler_;
  WorkerOptions worker_;
  RunOptions run_;
  TestOptions test_;
  ListOptions list_;
  PageOptions asset_page_;
  PruneOptions prune_;
  AliasOptions alias_;
  CronOptions cron_;
  TokenOptions token_;
  std::vector<std::string> files_;
  std::string state_;
  std::string file_;
  std::string output_file_;
  RetryOptions retry_;
  BackfillOptions backfill_;
  StateOptions state_options_;
  std::string run_id_;
  std::string task_;
  std::string version_;
  std::string attempt_ = "latest";
  std::string asset_;
  std::string direction_ = "both";
  std::string directory_ = ".";
  std::uint32_t depth_ = 20;
  bool all_ = false;
  LogOptions log_;
  bool verify_ = false;
};

}  // namespace

int run_command_line(int argc, const char* const* argv) { return CommandLine().run(argc, argv); }

}  // namespace chappe::cli
