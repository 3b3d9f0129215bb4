#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/offline.h"
#include "cli/own_server.h"
#include "cli/state_dir.h"

namespace chappe::cli {

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
  return command(over_files);
}

}  // namespace chappe::cli
