#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/offline.h"
#include "cli/own_server.h"
#include "cli/state_dir.h"

namespace chappe::cli {
namespace {

/// Who reads files that nobody serves must not take their runs for going on.
void warn_of_rest(ApiClient& files, const std::string& state_dir) {
  for (const char* state : {"running", "queued"}) {
    const auto page = files.get(fmt::format("/runs?limit=1&state={}", state));
    if (!page || list_of(*page, "items").empty()) continue;
    const std::string run = text_of(list_of(*page, "items").front(), "id");
    (void)complain(
        fmt::format("no scheduler serves {}: run {} and others that are not over rest until one does", state_dir, run),
        kOk);
    return;
  }
}

}  // namespace

int with_server(const Session& session, Need need, const std::function<int(ApiClient&)>& command) {
  OwnServer server(session, 1);
  auto client = need == Need::kOwn ? server.find_or_start() : ApiClient::find(session.server);
  if (client) {
    const int code = command(*client);
    server.leave_at_once();  // Runs that went on meanwhile rest again.
    return code;
  }
  const bool look_at_files = need == Need::kReading && client.error().code == ErrorCode::kNotFound;
  if (!look_at_files) return complain(client.error());
  const auto state_dir = find_state_dir(session.server.state_dir);
  if (!state_dir) return complain(state_dir.error());
  const auto offline = OfflineServer::open(*state_dir, session.object_store);
  if (!offline) return complain(offline.error());
  ApiClient over_files = (*offline)->client();
  const int code = command(over_files);
  if (code == kOk && !session.output.json) warn_of_rest(over_files, state_dir->string());
  return code;
}

}  // namespace chappe::cli
