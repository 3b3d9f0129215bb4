#include "cli/backfill_commands.h"

#include <string>
#include <utility>

#include "engine/model/backfill.h"

namespace chappe::cli {
namespace {

CLI::App* add_sub(CLI::App& parent, const std::string& name, const std::string& help) {
  CLI::App* command = parent.add_subcommand(name, help);
  command->fallthrough();
  return command;
}

void add_create(CLI::App& create, BackfillOptions& options) {
  create.add_option("dag", options.dag, "Name of a DAG with a schedule")->required();
  create.add_option("--from", options.from, "First logical time: a date or a time, of the DAG's zone")->required();
  create.add_option("--to", options.to, "Last logical time; a date counts to its end")->required();
  create.add_option("--reprocess", options.reprocess, "Dates with a run get another: none, failed or completed")
      ->check(CLI::IsMember({"none", "failed", "completed"}));
  create.add_option("--order", options.order, "oldest or newest first")->check(CLI::IsMember({"oldest", "newest"}));
  create.add_option("--max-active", options.max_active, "Of its runs at a time, beside the DAG's max_runs; default: 1")
      ->check(CLI::Range(1U, kBackfillActiveMax));
  create.add_option("--tasks", options.tasks, "Only these run, such as load,check")->delimiter(',');
  create.add_option("-p,--param", options.params, "NAME=VALUE, for all runs; may be repeated")->allow_extra_args(false);
  create.add_option("--params-file", options.params_file, "A JSON object");
  create.add_flag("--dry-run", options.dry_run, "Only say what it would do, date by date");
}

}  // namespace

void add_backfill_commands(CLI::App& app, const Session& session, BackfillOptions& options,
                           std::function<int()>& command) {
  CLI::App& backfill =
      *add_sub(app, "backfill", "Let a DAG run for the times of its schedule in a stretch of the past");
  backfill.require_subcommand(1);
  CLI::App* create = add_sub(backfill, "create", "Begin one");
  add_create(*create, options);
  create->callback([&] { command = [&] { return create_backfill(session, options); }; });
  CLI::App* list = add_sub(backfill, "list", "List them, newest first");
  list->add_option("--dag", options.dag, "Of this DAG only");
  list->callback([&] { command = [&] { return list_backfills(session, options); }; });
  CLI::App* show = add_sub(backfill, "show", "Show how far one has come, and its runs by state");
  show->add_option("id", options.id, "Its number")->required();
  show->callback([&] { command = [&] { return show_backfill(session, options.id); }; });
  for (const auto& [verb, help] :
       {std::pair("pause", "Let one start no more runs; those that it started go on"),
        std::pair("resume", "Let one go on"), std::pair("cancel", "End one, and cancel its runs")}) {
    CLI::App* change = add_sub(backfill, verb, help);
    change->add_option("id", options.id, "Its number")->required();
    change->callback(
        [&, verb = std::string(verb)] { command = [&, verb] { return change_backfill(session, options.id, verb); }; });
  }
}

}  // namespace chappe::cli
