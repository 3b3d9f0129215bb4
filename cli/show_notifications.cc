#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_code.h"

namespace chappe::cli {

int list_notifications(const Session& session, const std::string& state) {
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    const auto page = client.get("/notifications?limit=100" + (state.empty() ? "" : "&state=" + segment(state)));
    if (!page) return complain(page.error());
    if (session.output.json) {
      print_json(*page);
      return int{kOk};
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& one : list_of(*page, "items")) {
      const std::string told = text_of(one, "told");
      rows.push_back({text_of(one, "id"), local_time(one.find("made_at")), text_of(one, "notice"),
                      text_of(one, "state"), text_of(one, "tries"),
                      printable(text_of(one, "text") + (told.empty() ? "" : " (" + told + ")"))});
    }
    if (rows.empty()) return complain("there is no such notification", kOk);
    print(table({"ID", "MADE", "NOTICE", "STATE", "TRIES", "TEXT"}, rows));
    return int{kOk};
  });
}

}  // namespace chappe::cli
