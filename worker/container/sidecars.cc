#include "worker/container/sidecars.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <thread>
#include <utility>

#include "engine/ports/log.h"
#include "worker/container/log_frames.h"
#include "worker/container/provide_image.h"

namespace chappe::container {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReadyLook = 50ms;    ///< Whether one is ready, or has ended.
constexpr Duration kEndedLook = 50ms;    ///< Whether they have all ended.
constexpr Duration kLastOutputMax = 5s;  ///< Until the last of its output is there, after its end.

Failure came_too_late() { return fail(ErrorCode::kConflict, "stopped before it started"); }

}  // namespace

// ---- What they write ----------------------------------------------------------------------------------------------

std::string SidecarLines::take(std::string_view text) {
  std::string out;
  last_.append(text.substr(text.size() - std::min(text.size(), kSidecarToldMax)));
  if (last_.size() > kSidecarToldMax) last_.erase(0, last_.size() - kSidecarToldMax);
  for (const char c : text) {
    if (c != '\n') line_ += c;
    if (c == '\n' || line_.size() >= kSidecarLineMax) end_line(out);
  }
  return out;
}

std::string SidecarLines::rest() {
  std::string out;
  if (!line_.empty()) end_line(out);
  return out;
}

void SidecarLines::end_line(std::string& out) {
  written_ += line_.size() + 1;
  if (written_ <= kSidecarLogMax) {
    out.append("[").append(name_).append("] ").append(line_).append("\n");
  } else if (!std::exchange(cut_, true)) {
    out += fmt::format("[{}] (what follows is left out: {} MiB of it are above)\n", name_, kSidecarLogMax >> 20);
  }
  line_.clear();
}

std::string SidecarLines::last_words() const {
  std::string out = last_;
  while (!out.empty() && (out.back() == '\n' || out.back() == '\r')) out.pop_back();
  std::ranges::replace(out, '\n', ' ');
  return out.substr(0, kSidecarToldMax);
}

// ---- Their start --------------------------------------------------------------------------------------------------

/// One that was made: a sidecar, or the holder, whose name is "".
struct Sidecars::One {
  One(std::string name_in_dag, std::string name_of_container)
      : name(std::move(name_in_dag)), container(std::move(name_of_container)), lines(name) {}
  const std::string name, container;
  std::string id;
  bool ran = false;
  SidecarLines lines;  ///< The follower's, until it is over.
  std::atomic<bool> nobody_listens = false;
  std::promise<void> told, over;
  std::thread follower;
};

Sidecars::Sidecars(ContainerApi& api, const ContainerSpec& task, const Company& company, const StopOrders& orders,
                   Outbox& outbox)
    : api_(api), task_(task), company_(company), orders_(orders), outbox_(outbox) {
  network_ = name_of(task.options.network);
}

Sidecars::~Sidecars() { end(); }

Result<void> Sidecars::start(const Image& image) {
  if (company_.sidecars.empty()) return {};
  if (auto held = hold_network(image); !held) return fail(std::move(held.error()).in("the network of its sidecars"));
  for (const SidecarContainer& sidecar : company_.sidecars) {
    if (orders_.stopped()) return came_too_late();
    if (auto started = start(sidecar); !started) {
      if (orders_.stopped()) return came_too_late();
      return fail(std::move(started.error()).in(fmt::format("sidecar '{}'", sidecar.name)));
    }
  }
  return {};
}

/// All others join its network; the machine's they have anyway.
Result<void> Sidecars::hold_network(const Image& image) {
  ContainerSpec holder{.attempt = task_.attempt, .name = task_.name + "-network", .labels = task_.labels};
  holder.argv = {kHolderInside};
  for (const SidecarContainer& sidecar : company_.sidecars) {
    holder.argv.push_back(sidecar.port == 0 ? "-" : std::to_string(sidecar.port) + sidecar.ready_path);
  }
  holder.directory = "/";
  holder.mounts = {{company_.holder, kHolderInside, true}};
  holder.options.network = task_.options.network;
  holder.resources.cpu_milli = 0;
  holder.pids_max = holder.files_max = 64;
  auto made = api_.create(holder.name, create_body(holder, image.id, network_));
  if (!made) return fail(std::move(made.error()).in("create the container"));
  holder_ = std::make_unique<One>("", holder.name);
  holder_->id = *std::move(made);
  if (holder.options.network != ContainerOptions::Network::kHost) network_ = "container:" + holder_->id;
  return run(*holder_);
}

Result<void> Sidecars::start(const SidecarContainer& sidecar) {
  auto image = provide_image(api_, sidecar.container, orders_.stopped());
  if (!image) return fail(std::move(image.error()));
  images_.emplace_back(sidecar.name, image->digest);
  if (orders_.stopped()) return came_too_late();
  auto made = api_.create(sidecar.container.name, create_body(sidecar.container, image->id, network_));
  if (!made) return fail(std::move(made.error()).in("create the container"));
  One& one = *started_.emplace_back(std::make_unique<One>(sidecar.name, sidecar.container.name));
  one.id = *std::move(made);
  if (auto ran = run(one); !ran) return ran;
  return wait_until_ready(sidecar, one);
}

/// Attached first, so that nothing that it writes is missed.
Result<void> Sidecars::run(One& one) {
  one.follower = std::thread([this, &one] { follow(one); });
  one.told.get_future().wait();
  if (auto ran = api_.start(one.id); !ran) return fail(std::move(ran.error()).in("start the container"));
  one.ran = true;
  return {};
}

/// What a sidecar writes, to the loop; what the holder writes, to us.
void Sidecars::follow(One& one) {
  LogFrames frames;
  bool attached = false;
  const auto put = [&](const std::string& text) {
    return text.empty() || outbox_.put_output(task_.attempt, std::as_bytes(std::span(text)));
  };
  const http::BodySink sink = [&](std::span<const std::byte> bytes) {
    bool taken = true;
    const bool framed = frames.take(bytes, [&](std::span<const std::byte> piece) {
      const std::string_view text(reinterpret_cast<const char*>(piece.data()), piece.size());
      if (one.name.empty()) return take_word(text);
      taken = put(one.lines.take(text)) && taken;
    });
    return framed && taken;
  };
  (void)api_.attach(
      one.id,
      [&] {
        if (!std::exchange(attached, true)) one.told.set_value();
      },
      sink, one.nobody_listens);  // Where it breaks off, the task's own attach does so, too, and says so.
  if (!attached) one.told.set_value();
  (void)put(one.lines.rest());
  one.over.set_value();
}

/// "0\n": the first of them is ready.
void Sidecars::take_word(std::string_view text) {
  for (const char c : text) {
    if (c >= '0' && c < '0' + static_cast<char>(kSidecarsMax)) ready_ |= 1U << static_cast<unsigned>(c - '0');
  }
}

Result<void> Sidecars::wait_until_ready(const SidecarContainer& sidecar, One& one) {
  if (sidecar.port == 0) return {};
  const auto position = static_cast<unsigned>(&sidecar - company_.sidecars.data());
  const MonoTime until = exec::boot_time() + sidecar.ready_timeout;
  while (!orders_.stopped()) {
    const bool ready = (ready_ & 1U << position) != 0;
    const auto state = api_.inspect(one.id);
    const bool ended = state ? state->ended : state.error().code == ErrorCode::kNotFound;
    if (ready && !ended) return {};  // Else it was somebody else who answered.
    if (ended)
      return not_ready(one, fmt::format("it ended with exit code {} before it was ready",
                                        state ? std::to_string(state->exit_code) : "?"));
    if (exec::boot_time() >= until) {
      return not_ready(one,
                       fmt::format("it was not ready within its ready_timeout, {}", to_text(sidecar.ready_timeout)));
    }
    std::this_thread::sleep_for(kReadyLook);
  }
  return came_too_late();
}

/// With its last words.
Failure Sidecars::not_ready(One& one, const std::string& why) {
  (void)api_.signal(one.id, "SIGKILL");
  finish(one);
  const std::string words = one.lines.last_words();
  return fail(ErrorCode::kInvalidInput, why + (words.empty() ? "" : ": " + words));
}

// ---- Their end ----------------------------------------------------------------------------------------------------

bool Sidecars::all_ended() const {
  return std::ranges::all_of(started_, [&](const auto& one) {
    const auto state = one->ran ? api_.inspect(one->id) : Result<ContainerState>(ContainerState{.ended = true});
    return !state || state->ended;  // Of one whose runtime says nothing there is nothing to wait for.
  });
}

/// It does not decide the attempt, but may well explain it.
void Sidecars::tell_early_end(const One& one) {
  if (!one.ran || !one.follower.joinable()) return;
  const auto state = api_.inspect(one.id);
  if (!state || !state->ended) return;
  const std::string note = fmt::format("[{}] (it ended by itself, with exit code {})\n", one.name, state->exit_code);
  (void)outbox_.put_output(task_.attempt, std::as_bytes(std::span(note)));
}

/// Of one that was killed, or never ran: until all that it wrote is taken.
void Sidecars::finish(One& one) {
  if (!one.follower.joinable()) return;
  if (one.ran) (void)one.over.get_future().wait_for(kLastOutputMax);
  one.nobody_listens = true;
  one.follower.join();
}

void Sidecars::end() {
  const auto must_be_dead = [&] {
    const auto kill_at = orders_.kill_at();
    return kill_at && exec::boot_time() >= *kill_at;
  };
  const MonoTime until = exec::boot_time() + company_.grace;
  for (auto one = started_.rbegin(); one != started_.rend(); ++one) {
    tell_early_end(**one);
    (void)api_.signal((*one)->id, "SIGTERM");
  }
  while (!all_ended() && exec::boot_time() < until && !must_be_dead()) std::this_thread::sleep_for(kEndedLook);
  if (holder_ != nullptr) started_.insert(started_.begin(), std::move(holder_));  // The last to go.
  for (auto one = started_.rbegin(); one != started_.rend(); ++one) {
    (void)api_.signal((*one)->id, "SIGKILL");
    finish(**one);
    remove_container(api_, (*one)->id, (*one)->container);
  }
  started_.clear();
}

}  // namespace chappe::container
