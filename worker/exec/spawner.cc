#include "worker/exec/spawner.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "engine/base/assert.h"
#include "worker/exec/messages.h"
#include "worker/exec/zygote.h"

namespace chappe::exec {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{64} << 10;  ///< A pipe holds as much.
constexpr std::size_t kPiecesPerDispatch = 16;
constexpr std::size_t kPiecesAfterEnd = 64;  ///< A program may have made its pipe larger: up to 1 MiB.

/// What epoll tells us about: two descriptors a slot, and the control socket.
enum class Source : std::uint32_t { kSocket, kOutput, kControl };

epoll_event event_of(Source source, Slot slot) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = (std::uint64_t{slot} << 32) | static_cast<std::uint32_t>(source);
  return event;
}

struct Supervised {
  SupervisorEnds ends;
  bool busy = false;
};

std::string encode(const Launch& launch, Request& request) {
  std::string bytes(sizeof(Request), '\0');
  const auto add = [&bytes](const std::string& text) { bytes.append(text.c_str(), text.size() + 1); };
  add(launch.directory);
  for (const std::string& argument : launch.argv) add(argument);
  for (const std::string& variable : launch.env) add(variable);
  request.kind = RequestKind::kLaunch;
  request.bytes = static_cast<std::uint32_t>(bytes.size() - sizeof(Request));
  request.arguments = static_cast<std::uint32_t>(launch.argv.size());
  request.variables = static_cast<std::uint32_t>(launch.env.size());
  request.grace_us = launch.grace.count();
  std::memcpy(bytes.data(), &request, sizeof request);
  return bytes;
}

Result<void> check(const Launch& launch) {
  if (launch.argv.empty() || launch.argv.front().empty()) return fail(ErrorCode::kInvalidInput, "no program to run");
  std::size_t bytes = launch.directory.size() + 1;
  const auto fits = [&bytes](const std::string& text) {
    bytes += text.size() + 1;
    return text.find('\0') == std::string::npos;
  };
  if (!std::all_of(launch.argv.begin(), launch.argv.end(), fits) ||
      !std::all_of(launch.env.begin(), launch.env.end(), fits)) {
    return fail(ErrorCode::kInvalidInput, "an argument or environment variable holds a NUL byte");
  }
  if (bytes > kLaunchBytesMax) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("arguments and environment take {} bytes, at most {} are possible; pass data in files",
                            bytes, kLaunchBytesMax));
  }
  return {};
}

}  // namespace

struct Spawner::State {
  Fence* fence = nullptr;
  pid_t pid = -1;
  int control = -1;
  int epoll = -1;
  std::vector<Supervised> slots;
  std::vector<Slot> idle;
  std::size_t running = 0;
  std::vector<char> piece = std::vector<char>(kPieceBytes);

  ~State() {
    close_all();
    if (pid > 0) (void)::waitpid(pid, nullptr, WNOHANG);
    if (epoll >= 0) ::close(epoll);
    if (fence != nullptr) ::munmap(static_cast<void*>(fence), sizeof(Fence));
  }

  void close_all() {
    for (Supervised& slot : slots) close_ends(slot);
    if (control >= 0) ::close(std::exchange(control, -1));
  }

  static void close_ends(Supervised& slot) {
    if (slot.ends.socket < 0) return;
    ::close(std::exchange(slot.ends.socket, -1));
    ::close(std::exchange(slot.ends.output, -1));
  }

  bool watch(int fd, Source source, Slot slot) {
    epoll_event event = event_of(source, slot);
    return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
  }

  Result<Slot> idle_slot() {
    if (!idle.empty()) {
      const Slot slot = idle.back();
      idle.pop_back();
      return slot;
    }
    return new_slot();
  }

  Result<Slot> new_slot() {
    const Failure gone = fail(ErrorCode::kUnavailable, "the spawner process is gone; restart the worker");
    if (slots.size() == kSlotsMax)
      return fail(ErrorCode::kUnavailable, fmt::format("all {} slots are busy", kSlotsMax));
    if (control < 0) return gone;
    SupervisorEnds ends;
    if (!send_all(control, "n", 1) || !receive_ends(control, ends)) return gone;
    (void)::fcntl(ends.output, F_SETFL, O_RDONLY | O_NONBLOCK);
    const Slot slot = static_cast<Slot>(slots.size());
    slots.push_back({ends, false});
    if (!watch(ends.socket, Source::kSocket, slot) || !watch(ends.output, Source::kOutput, slot)) return gone;
    return slot;
  }

  /// Up to `pieces` pieces of what is in the pipe.
  void read_output(Slot slot, const SpawnerEvents& events, std::size_t pieces) {
    const int fd = slots[slot].ends.output;
    for (std::size_t i = 0; i < pieces && fd >= 0; ++i) {
      const ssize_t got = ::read(fd, piece.data(), piece.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return;
      if (slots[slot].busy) events.output(slot, std::as_bytes(std::span(piece.data(), static_cast<std::size_t>(got))));
      if (static_cast<std::size_t>(got) < piece.size()) return;
    }
  }

  void end(Slot slot, const ProcessEnd& how, const SpawnerEvents& events) {
    read_output(slot, events, kPiecesAfterEnd);
    Supervised& place = slots[slot];
    if (how.kind == EndKind::kLost) close_ends(place);
    if (!std::exchange(place.busy, false)) return;
    --running;
    if (how.kind != EndKind::kLost) idle.push_back(slot);
    events.ended(slot, how);
  }

  void take_answer(Slot slot, const SpawnerEvents& events) {
    if (slots[slot].ends.socket < 0) return;
    ProcessEnd how;
    if (!receive_all(slots[slot].ends.socket, &how, sizeof how)) {
      how = {};
      how.kind = EndKind::kLost;
      std::erase(idle, slot);
    }
    end(slot, how, events);
  }

  void lose_control() {
    (void)::epoll_ctl(epoll, EPOLL_CTL_DEL, control, nullptr);
    ::close(std::exchange(control, -1));
  }
};

Result<std::unique_ptr<Spawner>> Spawner::start(int lock_fd) {
  auto state = std::make_unique<State>();
  void* shared = ::mmap(nullptr, sizeof(Fence), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int sockets[2];
  if (shared == MAP_FAILED || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("start the spawner: {}", std::strerror(errno)));
  }
  state->fence = ::new (shared) Fence;
  state->pid = ::fork();
  if (state->pid == 0) run_zygote(sockets[1], lock_fd, *state->fence);
  ::close(sockets[1]);
  state->control = sockets[0];
  state->epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (state->pid < 0 || state->epoll < 0 || !state->watch(state->control, Source::kControl, 0)) {
    return fail(ErrorCode::kUnavailable, fmt::format("start the spawner: {}", std::strerror(errno)));
  }
  return std::unique_ptr<Spawner>(new Spawner(std::move(state)));
}

Spawner::Spawner(std::unique_ptr<State> state) : state_(std::move(state)) {}
Spawner::~Spawner() = default;

Result<Slot> Spawner::launch(const Launch& launch) {
  if (auto fit = check(launch); !fit) return fail(std::move(fit.error()).in("launch"));
  Request request;
  const std::string bytes = encode(launch, request);
  Result<Slot> slot = state_->idle_slot();
  if (!slot) return slot;
  state_->slots[*slot].busy = true;
  ++state_->running;
  // A supervisor that is gone is told by its end: its socket is readable then.
  (void)send_all(state_->slots[*slot].ends.socket, bytes.data(), bytes.size());
  return slot;
}

void Spawner::stop(Slot slot, Duration grace) {
  CHAPPE_ASSERT(slot < state_->slots.size());
  const Supervised& place = state_->slots[slot];
  if (!place.busy) return;
  const Request request{.kind = RequestKind::kStop, .grace_us = grace.count()};
  (void)send_all(place.ends.socket, &request, sizeof request);  // Gone: its end is on its way.
}

int Spawner::fd() const { return state_->epoll; }

void Spawner::dispatch(const SpawnerEvents& events) {
  std::array<epoll_event, 64> ready{};
  const int count = ::epoll_wait(state_->epoll, ready.data(), static_cast<int>(ready.size()), 0);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t data = ready[static_cast<std::size_t>(i)].data.u64;
    const Slot slot = static_cast<Slot>(data >> 32);
    switch (static_cast<Source>(static_cast<std::uint32_t>(data))) {
      case Source::kSocket:
        state_->take_answer(slot, events);
        break;
      case Source::kOutput:
        state_->read_output(slot, events, kPiecesPerDispatch);
        break;
      case Source::kControl:
        state_->lose_control();
        break;
    }
  }
}

bool Spawner::alive() const { return state_->control >= 0; }

bool Spawner::finish(Duration wait) {
  state_->close_all();
  const MonoTime until = boot_time() + wait;
  if (state_->pid <= 0) return true;
  while (::waitpid(state_->pid, nullptr, WNOHANG) == 0) {
    if (boot_time() >= until) return false;
    (void)::poll(nullptr, 0, 2);
  }
  state_->pid = -1;
  return true;
}

Fence& Spawner::fence() { return *state_->fence; }
std::size_t Spawner::running() const { return state_->running; }

}  // namespace chappe::exec
