#include "cli/own_server.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "cli/processes.h"
#include "cli/state_dir.h"

namespace chappe::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kStartMax{30};
constexpr std::chrono::milliseconds kLook{5};
constexpr std::uintmax_t kLogFileMax = std::uintmax_t{10} << 20;

}  // namespace

/// A standalone Chappe for the time of one command.
class Companion {
 public:
  /// Errors: kUnavailable with the end of its log.
  static Result<std::unique_ptr<Companion>> start(const Session& session, const std::filesystem::path& state_dir,
                                                  std::uint32_t workers) {
    std::error_code failed;
    std::filesystem::create_directories(state_dir, failed);
    if (failed)
      return fail(ErrorCode::kPermissionDenied, fmt::format("make {}: {}", state_dir.string(), failed.message()));
    std::filesystem::permissions(state_dir, std::filesystem::perms::owner_all, failed);
    const std::filesystem::path log = state_dir / "standalone.log";
    if (std::filesystem::file_size(log, failed) > kLogFileMax && !failed) std::filesystem::remove(log, failed);
    std::vector<std::string> words{"standalone",         "--state-dir", state_dir.string(),
                                   "--quit-with-parent", "--workers",   std::to_string(workers)};
    if (!session.object_store.empty()) words.insert(words.end(), {"--object-store", session.object_store});
    const auto pid = spawn_self({.arguments = std::move(words), .log = log});
    if (!pid) return fail(pid.error());
    std::unique_ptr<Companion> companion(new Companion(*pid));
    if (auto ready = companion->wait_until_ready(state_dir, log); !ready) return fail(ready.error());
    return companion;
  }

  bool is_alive() {
    if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
    return pid_ > 0;
  }

  /// Two different signals: the second says not to wait for what runs.
  void hurry() const {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    ::kill(pid_, SIGINT);
  }

  ~Companion() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    (void)::waitpid(pid_, nullptr, 0);  // It bounds its own end.
  }

 private:
  explicit Companion(int pid) : pid_(pid) {}

  Result<void> wait_until_ready(const std::filesystem::path& state_dir, const std::filesystem::path& log) {
    const auto deadline = Clock::now() + kStartMax;
    while (!read_endpoint(state_dir)) {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = 0;
        return fail(ErrorCode::kUnavailable, "the scheduler did not start: " + last_line(log));
      }
      if (Clock::now() > deadline)
        return fail(ErrorCode::kUnavailable,
                    fmt::format("the scheduler is not ready after {} s; see {}", kStartMax.count(), log.string()));
      std::this_thread::sleep_for(kLook);
    }
    return {};
  }

  static std::string last_line(const std::filesystem::path& log) {
    std::ifstream in(log);
    std::string last = "see " + log.string();
    for (std::string line; std::getline(in, line);) {
      if (!line.empty()) last = line;
    }
    return last;
  }

  int pid_;
};

OwnServer::OwnServer(const Session& session, std::uint32_t workers) : session_(session), workers_(workers) {}
OwnServer::~OwnServer() = default;

Result<ApiClient> OwnServer::find_or_start() {
  auto client = ApiClient::find(session_.server);
  if (client || client.error().code != ErrorCode::kNotFound || !session_.server.server.empty()) return client;
  const auto state_dir = find_state_dir(session_.server.state_dir);
  if (!state_dir) return fail(state_dir.error());
  companion_.reset();
  auto started = Companion::start(session_, *state_dir, workers_);
  if (!started) return fail(started.error());
  companion_ = *std::move(started);
  return ApiClient::find(session_.server);
}

void OwnServer::revive() {
  if (companion_ == nullptr || !companion_->is_alive()) (void)find_or_start();  // Asked again while it fails.
}

void OwnServer::leave_at_once() {
  if (companion_ != nullptr) companion_->hurry();
}

}  // namespace chappe::cli
