#include "cli/examples.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace chappe::cli {
namespace {

struct Examples {
  std::string_view command;  ///< "backfill create"
  std::string_view lines;
};

constexpr Examples kExamples[] = {
    {"standalone", "chappe standalone --workers 4 --dags ./dags\n"},
    {"scheduler", "chappe scheduler --dags /etc/chappe/dags --object-store s3://bucket/chappe --pool database=4\n"},
    {"worker", "chappe worker --scheduler tcp://host:7331 --key-file worker.key --server-key scheduler.pub\n"},
    {"validate", "chappe validate dags/*.yaml\n"},
    {"plan", "chappe plan dags/income.yaml --param year=2026\n"},
    {"test", "chappe test dags/ --junit report.xml\n"},
    {"cron", "chappe cron '30 3 * * 1-5' --timezone Europe/Paris --count 5\n"},
    {"schema", "chappe schema > dag.schema.json\n"},
    {"import argo", "chappe import argo workflow.yaml --output dag.yaml\n"},
    {"run", "chappe run dags/income.yaml --param year=2026\n"},
    {"submit", "chappe submit dags/income.yaml --param year=2026 --wait\n"},
    {"trigger",
     "chappe trigger income --param year=2026 --wait\n"
     "chappe trigger income --logical-time 2026-11-26T03:00:00Z --request-id income-2026-11-26\n"},
    {"retry",
     "chappe retry latest                     # what failed, and what did not run because of it\n"
     "chappe retry latest train --downstream  # train, and all that depends on it\n"},
    {"mark", "chappe mark latest load success\n"},
    {"rerun", "chappe rerun latest --version latest\n"},
    {"human", "chappe human\nchappe human complete latest approve --set decision=yes\n"},
    {"human complete", "chappe human complete latest approve --set decision=yes --set note='as in October'\n"},
    {"notifications list", "chappe notifications list --state given_up\n"},
    {"cancel", "chappe cancel latest\n"},
    {"deploy", "chappe deploy dags/\n"},
    {"pause", "chappe pause income\n"},
    {"unpause", "chappe unpause income\n"},
    {"undeploy", "chappe undeploy income\n"},
    {"webhooks", "chappe webhooks build\n"},
    {"backfill create",
     "chappe backfill create income --from 2026-01-01 --to 2026-01-31 --dry-run\n"
     "chappe backfill create income --from 2026-01-01 --to 2026-01-31 --max-active 4 --reprocess failed\n"},
    {"backfill show", "chappe backfill show 7\n"},
    {"state get", "chappe state get --dag income cursor\n"},
    {"state set", "chappe state set --dag income cursor '\"2026-11-01\"'\n"},
    {"runs",
     "chappe runs --state failed --since 1d\nchappe runs --dag income --since 2026-11-01 --limit 100 --output json\n"},
    {"dags", "chappe dags\n"},
    {"show",
     "chappe show latest        # its tasks\n"
     "chappe show latest train  # all attempts of a task, and where they ran\n"},
    {"logs",
     "chappe logs latest                    # of the first task that failed\n"
     "chappe logs latest train -f           # and on while it writes\n"
     "chappe logs latest train --attempt 1\n"},
    {"explain", "chappe explain latest\n"},
    {"workers", "chappe workers\n"},
    {"assets", "chappe assets income_raw\n"},
    {"lineage", "chappe lineage income@champion --direction up\n"},
    {"aliases", "chappe aliases income@champion --set income@champion_previous\n"},
    {"token create", "chappe token create nightly-ci --role operator --expires 30d\n"},
    {"token revoke", "chappe token revoke nightly-ci\n"},
    {"worker-key", "chappe worker-key north >> authorized_workers\n"},
    {"audit", "chappe audit --since 7d --limit 100\nchappe audit --verify\n"},
    {"prune", "chappe prune --before 400d --dry-run\nchappe prune --before 2025-01-01 --dag income\n"},
    {"config show", "chappe config show --origin\n"},
};

std::string with_margin(std::string_view lines) {
  std::string out;
  while (!lines.empty()) {
    const std::size_t end = lines.find('\n') + 1;
    out.append("  ").append(lines.substr(0, end));
    lines.remove_prefix(end);
  }
  return out;
}

void add_footer(CLI::App& command, const std::string& path) {
  const auto found = std::ranges::find(kExamples, path, &Examples::command);
  const std::string examples = found == std::end(kExamples) ? "" : "Examples:\n" + with_margin(found->lines) + "\n";
  command.footer(examples + "--output json, --server URL and other options of all commands: chappe --help");
  for (CLI::App* one : command.get_subcommands({})) add_footer(*one, path + " " + one->get_name());
}

}  // namespace

void add_examples(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands({})) add_footer(*command, command->get_name());
}

}  // namespace chappe::cli
