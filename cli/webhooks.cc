#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_code.h"

namespace chappe::cli {

int list_webhooks(const Session& session, const std::string& dag) {
  return with_server(session, Need::kScheduler, [&](ApiClient& client) {
    const auto page = client.get("/dags/" + segment(dag) + "/webhooks");
    if (!page) return complain(page.error());
    if (session.output.json) {
      print_json(*page);
      return int{kOk};
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& one : list_of(*page, "items")) {
      rows.push_back({text_of(one, "webhook"), text_of(one, "path"), text_of(one, "secret")});
    }
    if (rows.empty()) return complain(fmt::format("{} has no webhook", dag), kOk);
    print(table({"WEBHOOK", "PATH", "SECRET"}, rows));
    return int{kOk};
  });
}

}  // namespace chappe::cli
