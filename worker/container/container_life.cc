#include "worker/container/container_life.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <future>
#include <thread>
#include <utility>

#include "engine/ports/log.h"
#include "worker/container/log_frames.h"
#include "worker/container/provide_image.h"
#include "worker/container/work_folder.h"

namespace chappe::container {
namespace {

using namespace std::chrono_literals;

constexpr Duration kKillAgainAfter = 1s;
constexpr Duration kLookEvery = 200ms;  ///< Whether it still runs, where its end does not show by itself.
constexpr Duration kSettleMax = 20s;    ///< From its first process's end to the runtime's word about it.
constexpr Duration kSettleLook = 5ms;
constexpr Duration kOutputMax = 10s;  ///< Until the last of its output is there, after its end.
constexpr std::size_t kPathMax = 16;  ///< Directories of a PATH that are looked at.

int milliseconds_until(MonoTime time) {
  const auto us = std::clamp<std::int64_t>((time - exec::boot_time()).count(), 0, Duration(60s).count());
  return static_cast<int>((us + 999) / 1000);
}

/// Where a program may be, as a shell would look for it.
std::vector<std::string> places_of(const std::string& program, const std::vector<std::string>& env) {
  if (program.find('/') != std::string::npos) return {program};
  std::string path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const std::string& variable : env) {
    if (variable.starts_with("PATH=")) path = variable.substr(5);
  }
  std::vector<std::string> places;
  for (std::size_t at = 0; at <= path.size() && places.size() < kPathMax;) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    if (end > at) places.push_back(path.substr(at, end - at) + "/" + program);
    at = end + 1;
  }
  return places;
}

}  // namespace

// ---- From the image to the start ----------------------------------------------------------------------------------

ContainerEnd ContainerLife::live() {
  end_.kind = EndKind::kNotStarted;
  const Result<void> ran = create_and_run();
  if (!ran) end_.message = ran.error().message;
  if (!id_.empty()) remove_container(api_, id_, spec_.name);
  sidecars_.end();
  if (!end_.image.empty()) end_.image = join_images(end_.image, sidecars_.images());
  end_.ended_at = exec::boot_time();
  return std::move(end_);
}

Result<void> ContainerLife::create_and_run() {
  const auto stopped = [&] { return orders_.stopped().load(); };
  const Failure too_late = fail(ErrorCode::kConflict, "stopped before it started");
  for (const Mount& mount : spec_.mounts) {
    if (auto opened = mount.read_only ? Result<void>() : open_to_everybody(mount.host); !opened) return opened;
  }
  const auto image = provide_image(api_, spec_, orders_.stopped());
  if (!image) return fail(image.error());
  end_.image = image->digest;
  if (stopped()) return too_late;
  if (auto beside = sidecars_.start(*image); !beside) return beside;
  if (stopped()) return too_late;
  auto created = api_.create(spec_.name, create_body(spec_, image->id, sidecars_.network()));
  if (!created) return fail(std::move(created.error()).in("create the container"));
  id_ = *std::move(created);
  if (stopped()) return too_late;
  return run_while_followed();
}

/// What it writes, to the loop.
void ContainerLife::follow(const std::function<void()>& attached) {
  LogFrames frames;
  bool taken = true;   // By the loop.
  bool framed = true;  // It is what the API promises.
  const http::BodySink sink = [&](std::span<const std::byte> bytes) {
    framed = frames.take(
        bytes, [&](std::span<const std::byte> text) { taken = taken && outbox_.put_output(spec_.attempt, text); });
    return framed && taken;
  };
  Result<void> followed = api_.attach(id_, attached, sink, nobody_listens_);
  if (!framed) followed = fail(ErrorCode::kInvalidInput, "it sends no frames");
  if (followed || nobody_listens_) return;
  const std::string note = fmt::format("\n[chappe: the container runtime broke off: {}]\n", followed.error().message);
  (void)outbox_.put_output(spec_.attempt, std::as_bytes(std::span(note)));
}

/// Attached first, so that nothing that it writes is missed.
Result<void> ContainerLife::run_while_followed() {
  std::promise<void> told;
  std::promise<void> over;
  bool attached = false;
  std::thread follower([&] {
    follow([&] {
      if (!std::exchange(attached, true)) told.set_value();
    });
    if (!attached) told.set_value();
    over.set_value();
  });
  told.get_future().wait();
  find_process();  // Podman has it before the start.
  Result<void> started = api_.start(id_);
  if (started) {
    end_.kind = EndKind::kExited;
    outbox_.put({.kind = News::Kind::kStarted, .attempt = spec_.attempt, .output = {}, .end = {}});
    if (!process_) find_process();
    watch();
    tell_usage();
    settle();
    // What it left running was ended with it: the output ends, too.
    (void)over.get_future().wait_for(kOutputMax);
  }
  nobody_listens_ = true;
  follower.join();
  if (!started) return fail(std::move(started.error()).in("start the container"));
  if (std::string missing = missing_program(); !missing.empty()) return fail(ErrorCode::kNotFound, std::move(missing));
  return {};
}

void ContainerLife::find_process() {
  const auto state = api_.inspect(id_);
  if (!state) return;
  if (auto found = MainProcess::find(state->pid, id_)) process_.emplace(*std::move(found));
}

// ---- While it runs ------------------------------------------------------------------------------------------------

/// Until its first process has ended, or the runtime says so.
void ContainerLife::watch() {
  std::optional<MonoTime> kill_at;
  while (!wait_for_news(kill_at)) obey(kill_at);
}

/// True: it has ended.
bool ContainerLife::wait_for_news(std::optional<MonoTime> kill_at) {
  MonoTime until = exec::boot_time() + (process_ ? Duration(60s) : kLookEvery);
  if (kill_at) until = std::min(until, std::max(*kill_at, kill_next_));
  pollfd fds[2] = {{orders_.fd(), POLLIN, 0}, {process_ ? process_->fd() : -1, POLLIN, 0}};
  (void)::poll(fds, 2, milliseconds_until(until));
  if (fds[0].revents != 0) {
    std::uint64_t count = 0;
    (void)!::read(orders_.fd(), &count, sizeof count);
  }
  if (process_) return fds[1].revents != 0;
  const auto state = api_.inspect(id_);
  return state ? state->ended : state.error().code == ErrorCode::kNotFound;
}

void ContainerLife::obey(std::optional<MonoTime>& kill_at) {
  kill_at = orders_.kill_at();
  if (!kill_at) return;
  const MonoTime now = exec::boot_time();
  if (now < *kill_at) {
    if (!std::exchange(term_sent_, true)) send(SIGTERM, "SIGTERM");
    return;
  }
  if (now < kill_next_) return;
  const bool again = kill_next_ != MonoTime{};
  kill_next_ = now + kKillAgainAfter;
  send(SIGKILL, "SIGKILL");
  if (again) (void)api_.remove(id_);  // It is paused, or the runtime holds on to it.
}

void ContainerLife::send(int number, const char* name) {
  end_.terminated = true;
  if (process_ && process_->signal(number)) return;
  if (auto sent = api_.signal(id_, name); !sent) log::warn("stop container {}: {}", spec_.name, sent.error().message);
}

// ---- Its end ------------------------------------------------------------------------------------------------------

void ContainerLife::tell_usage() {
  end_.memory_untold = true;
  if (!process_) return;
  const MainProcess::Use use = process_->use();
  end_.cpu_us = use.cpu_us;
  end_.peak_memory_bytes = use.peak_memory_bytes;
  end_.memory_untold = !use.oom_kills;
  end_.outgrew_memory = use.oom_kills.value_or(0) > 0;
}

/// Its exit code, as soon as the runtime knows it.
void ContainerLife::settle() {
  const MonoTime until = exec::boot_time() + kSettleMax;
  end_.fenced = !orders_.stopped() && exec::boot_time() >= fence_.terminate_at();
  for (;;) {
    const auto state = api_.inspect(id_);
    if (state && state->ended) {
      end_.exit_code = state->exit_code;
      if (end_.memory_untold && state->oom_killed) end_.outgrew_memory = true;
      return;
    }
    const bool gone = !state && state.error().code == ErrorCode::kNotFound;
    if (gone || exec::boot_time() >= until) {
      end_.kind = EndKind::kLost;
      end_.message = gone ? "somebody else removed the container"
                          : "the container ended, and its runtime does not say how" +
                                (state ? std::string() : ": " + state.error().message);
      return;
    }
    std::this_thread::sleep_for(kSettleLook);
  }
}

/// The init in the container tells by its exit code only that it could not start the program. "": that was not it.
std::string ContainerLife::missing_program() {
  constexpr std::int32_t kInitFailed = 1;  // Podman's; Docker's is a shell's.
  constexpr std::int32_t kNotFound = 127;
  if (end_.kind != EndKind::kExited || (end_.exit_code != kInitFailed && end_.exit_code != kNotFound)) return "";
  const auto state = api_.inspect(id_);
  if (!state) return "";
  for (const std::string& place : places_of(spec_.argv.front(), state->env)) {
    if (is_there(place)) return "";
  }
  end_.kind = EndKind::kNotStarted;
  return fmt::format("start '{}': image '{}' has no such program", spec_.argv.front(), spec_.image);
}

/// In the image, or in what was mounted into it: that is no more to be seen through the runtime. True in doubt.
bool ContainerLife::is_there(const std::string& place) {
  const std::string path = place.starts_with('/') ? place : spec_.directory + "/" + place;
  for (const Mount& mount : spec_.mounts) {
    if (!path.starts_with(mount.inside + "/") && path != mount.inside) continue;
    std::error_code error;
    return std::filesystem::exists(
        std::filesystem::symlink_status(mount.host + path.substr(mount.inside.size()), error));
  }
  return api_.has_file(id_, path).value_or(true);
}

}  // namespace chappe::container
