#include "cli/offline.h"

#include <fmt/format.h>

#include "scheduler/api/server.h"
#include "storage/digest/digest.h"
#include "storage/open/object_stores.h"
#include "storage/sqlite/sqlite_meta_store.h"

namespace chappe::cli {
namespace {

constexpr std::size_t kTokenBytes = 32;

Failure nobody_there() {
  return fail(ErrorCode::kUnavailable,
              "no scheduler serves this state directory: start one with 'chappe standalone', or use 'chappe run'");
}

/// What needs a scheduler is refused; what needs only the store is answered.
class FilesBackend : public api::Backend {
 public:
  FilesBackend(std::filesystem::path database, std::unique_ptr<ObjectStore> objects)
      : database_(std::move(database)), objects_(std::move(objects)) {}

  void request(Event, Done done) override { done(nobody_there()); }
  void explain(const RunId&, std::string, std::size_t, Done done) override { done(nobody_there()); }
  void workers(Done done) override { done(nobody_there()); }
  void questions(std::size_t, Done done) override { done(nobody_there()); }
  Result<std::unique_ptr<MetaReader>> open_reader() override { return SqliteMetaStore::open_reader(database_); }
  ObjectStore& objects() override { return *objects_; }
  metrics::Registry& metrics() override { return metrics_; }
  RunId new_run_id() override { return {}; }

 private:
  std::filesystem::path database_;
  std::unique_ptr<ObjectStore> objects_;
  metrics::Registry metrics_;
};

}  // namespace

struct OfflineServer::State {
  State(std::filesystem::path database, std::unique_ptr<ObjectStore> objects)
      : backend(std::move(database), std::move(objects)), token(random_hex(kTokenBytes)) {}

  FilesBackend backend;
  api::LogHub logs;
  std::string token;
  std::unique_ptr<api::Server> server;
};

Result<std::unique_ptr<OfflineServer>> OfflineServer::open(const std::filesystem::path& state_dir,
                                                           const std::string& object_store) {
  const std::filesystem::path database = state_dir / "chappe.db";
  std::error_code failed;
  if (!std::filesystem::exists(database, failed)) {
    return fail(ErrorCode::kNotFound,
                fmt::format("nothing has run with {} yet: try 'chappe run FILE', start a scheduler with 'chappe "
                            "standalone', or name one with --server URL",
                            state_dir.string()));
  }
  auto objects = open_object_store(object_store.empty() ? "file://" + (state_dir / "objects").string() : object_store);
  if (!objects) return fail(objects.error());
  auto state = std::make_unique<State>(database, *std::move(objects));
  auto server =
      api::Server::start({.listen = "127.0.0.1:0", .token = state->token, .bounds = {}}, state->backend, state->logs);
  if (!server) return fail(server.error());
  state->server = *std::move(server);
  return std::unique_ptr<OfflineServer>(new OfflineServer(std::move(state)));
}

OfflineServer::OfflineServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
OfflineServer::~OfflineServer() = default;

ApiClient OfflineServer::client() const { return {state_->server->url(), state_->token}; }

}  // namespace chappe::cli
