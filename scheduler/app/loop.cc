#include "scheduler/app/loop.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

#include "engine/ports/log.h"
#include "engine/ports/past_lookup.h"

namespace chappe {
namespace {

std::int64_t clock_us(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

double seconds_since(MonoTime time) { return static_cast<double>((read_clocks().mono - time).count()) / 1e6; }

}  // namespace

Now read_clocks() { return {{clock_us(CLOCK_REALTIME)}, {clock_us(CLOCK_BOOTTIME)}}; }

Result<void> Loop::run() {
  for (;;) {
    const bool news = take_in();
    const bool due = wake_at_ && *wake_at_ <= read_clocks().mono;
    if (news || due) {
      if (auto passed = pass(); !passed) return passed;
      if (++passes_ % kPassesPerLook != 0) continue;
      if (stop_asked()) return {};
      reload_if_asked();
      continue;
    }
    // The port was empty just now, and nothing was sent since: its descriptor will tell of the next message.
    if (!low_on_space_) {
      if (auto moved = parts_.store.checkpoint_if_due(); !moved) return moved;
    }
    if (!wait()) return {};
  }
}

bool Loop::take_in() {
  inbox_.events.clear();
  inbox_.logs.clear();
  low_on_space_ = parts_.space.is_low();
  const std::size_t messages = parts_.port.receive(inbox_, kMessagesMax);
  for (const std::string& complaint : parts_.port.take_complaints()) log::warn("{}", complaint);
  if (low_on_space_) {
    leave_out_what_needs_space();
  } else {
    look_up_dates();
    look_up_past();
    look_up_expired();
    look_up_prunable();
    for (Event& event : std::exchange(kept_, {})) inbox_.events.push_back(std::move(event));
  }
  std::vector<Mail> mails = parts_.mailbox.take();
  for (Mail& mail : mails) take_mail(mail);
  return messages > 0 || !mails.empty() || !inbox_.events.empty();
}

/// Workers stay known and keep their leases. Whatever else they tell they tell again until it is acknowledged.
void Loop::leave_out_what_needs_space() {
  std::erase_if(inbox_.events, [](const Event& event) {
    return !std::holds_alternative<WorkerHeartbeat>(event) && !std::holds_alternative<WorkerJoined>(event) &&
           !std::holds_alternative<WorkerLeft>(event);
  });
}

void Loop::take_mail(Mail& mail) {
  if (auto* request = std::get_if<Request>(&mail)) {
    add_request(*request);
  } else if (auto* query = std::get_if<Query>(&mail)) {
    queries_.push_back(std::move(*query));
  } else {
    Event& event = std::get<Event>(mail);
    // Why something is not there yet is worth no space; and pods are looked at again.
    const auto* seen = std::get_if<LookReported>(&event);
    const auto* pod = std::get_if<PodSeen>(&event);
    const bool is_waiting = (seen != nullptr && seen->what == LookReported::What::kNotYet) ||
                            (pod != nullptr && pod->what == PodSeen::What::kWaiting);
    if (low_on_space_ && is_waiting) return;
    if (low_on_space_ && seen != nullptr && seen->what == LookReported::What::kListed) {
      std::erase_if(kept_, [&](const Event& earlier) {  // This one says it all.
        const auto* other = std::get_if<LookReported>(&earlier);
        return other != nullptr && other->target == seen->target;
      });
    }
    (low_on_space_ ? kept_ : inbox_.events).push_back(std::move(event));
  }
}

/// A run that was asked for by the same request and has ended since: the engine has let go of it, the store has not.
bool Loop::answer_repeated(const Request& request) {
  const auto* wanted = std::get_if<RunRequested>(&request.event);
  if (wanted == nullptr || wanted->request_id.empty()) return false;
  auto known = parts_.reader.run_by_request(wanted->request_id);
  if (!known) {
    request.done(fail(std::move(known.error())));
  } else if (*known && !parts_.engine.knows((*known)->id)) {
    request.done(Value(ValueMap{{"run", (*known)->id.text()}, {"state", name_of((*known)->state)}}));
  } else {
    return false;
  }
  return true;
}

/// A call of a webhook that was taken by a run: the engine has let go of its event, the store has not.
bool Loop::answer_delivery(const Request& request) {
  const auto* call = std::get_if<WebhookCalled>(&request.event);
  if (call == nullptr || call->delivery.empty()) return false;
  const auto known = parts_.reader.event_by_key(call->dag, {EventSource::Kind::kHook, call->webhook}, call->delivery);
  if (!known) {
    request.done(fail(known.error()));
    return true;
  }
  if (!*known || !(*known)->run) return false;
  const auto run = parts_.reader.run_by_seq((*known)->run);
  request.done(told_of_delivery(**known, run ? std::optional(run->id) : std::nullopt));
  return true;
}

/// What was read of a finished run, on another thread, is not what the store holds by now.
bool Loop::is_out_of_date(const RunId& run, const StoredRun* stored) {
  if (parts_.engine.knows(run)) return false;
  if (stored == nullptr) return true;
  const auto now = parts_.reader.run_by_seq(stored->row.seq);
  return !now || *now != stored->row;
}

bool Loop::is_out_of_date(const Event& event) {
  const auto* retry = std::get_if<RetryRequested>(&event);
  const auto* mark = std::get_if<MarkRequested>(&event);
  if (retry != nullptr) return is_out_of_date(retry->run, retry->stored.get());
  return mark != nullptr && is_out_of_date(mark->run, mark->stored.get());
}

/// First of all that the next step hears, so that nothing comes between what the store says and what follows from it.
void Loop::look_up_dates() {
  const MonoTime now = read_clocks().mono;
  if (dates_.empty() || dates_fail_.rests(now)) return;
  for (WantedDates& wanted : std::exchange(dates_, {})) {
    auto newest = parts_.reader.newest_of_dates(wanted.dag, wanted.times);
    if (!newest) {
      if (!dates_fail_.rests(now) && dates_fail_.failed(now)) {
        log::error("backfill {} rests: {}", wanted.backfill.value, newest.error().message);
      }
      dates_.push_back(std::move(wanted));
      continue;
    }
    DatesLooked looked{.backfill = wanted.backfill, .dates = {}};
    for (std::size_t i = 0; i < newest->size(); ++i) looked.dates.push_back({wanted.times[i], (*newest)[i]});
    inbox_.events.insert(inbox_.events.begin(), std::move(looked));
  }
  if (dates_.empty()) dates_fail_.went_well();
}

/// As the dates are, and before them.
void Loop::look_up_past() {
  const PastTools tools{
      [&](const std::string& dag, WallTime before) { return parts_.reader.newest_before(dag, before); },
      [&](const RunRow& run) { return views_.instances(parts_.reader, run); },
      [&](RunSeq run, std::uint32_t first, std::uint32_t count) { return parts_.reader.unwell(run, first, count); }};
  for (const WantedPast& wanted : std::exchange(past_, {})) {
    PastLooked looked = chappe::look_up_past(tools, wanted);
    if (!looked.error.empty()) log::error("what run {} depends on: {}", wanted.run.value, looked.error);
    inbox_.events.insert(inbox_.events.begin(), std::move(looked));
  }
}

/// Likewise: whatever comes to refer to an object later on does so in the knowledge of what is collected now.
void Loop::look_up_expired() {
  const MonoTime now = read_clocks().mono;
  if (!expired_ || expired_fails_.rests(now)) return;
  auto looked = parts_.reader.expired(*expired_);
  if (!looked) {
    if (expired_fails_.failed(now)) log::error("nothing is collected for now: {}", looked.error().message);
    return;
  }
  expired_fails_.went_well();
  expired_.reset();
  inbox_.events.insert(inbox_.events.begin(), *std::move(looked));
}

/// Likewise. It may take a few milliseconds, and comes again at once: whoever waits to be heard has his turn between.
void Loop::look_up_prunable() {
  const MonoTime now = read_clocks().mono;
  if (!prune_ || prune_fails_.rests(now)) return;
  auto looked = parts_.reader.prunable(*prune_);
  if (!looked) {
    if (prune_fails_.failed(now)) log::error("nothing is pruned for now: {}", looked.error().message);
    return;
  }
  prune_fails_.went_well();
  prune_.reset();
  inbox_.events.insert(inbox_.events.begin(), *std::move(looked));
}

void Loop::add_request(Request& request) {
  if (low_on_space_) return request.done(fail(ErrorCode::kUnavailable, parts_.space.complaint()));
  if (answer_repeated(request) || answer_delivery(request)) return;
  const Ticket ticket{++last_ticket_.value};
  if (is_out_of_date(request.event)) {
    return request.done(fail(ErrorCode::kConflict, "the run changed at this very moment; ask again"));
  }
  const auto set_ticket = [&](auto& event) {
    if constexpr (requires { event.ticket; }) event.ticket = ticket;
  };
  std::visit(set_ticket, request.event);
  waiting_[ticket] = std::move(request.done);
  inbox_.events.push_back(std::move(request.event));
}

Result<void> Loop::pass() {
  const Now now = read_clocks();
  for (const wire::LogChunk& chunk : inbox_.logs) {
    const bool own = parts_.engine.leased(chunk.connection, chunk.what.attempt);
    if (own) parts_.logs.append(chunk.what.attempt, chunk.offset, chunk.data, now.wall);
  }
  const std::size_t followed = follow_results(now);
  Effects effects = parts_.engine.step(inbox_.events, now);
  parts_.metrics.stepped(followed + inbox_.events.size(), seconds_since(now.mono));
  wake_at_ = effects.wake_at;
  if (auto committed = commit(effects.persist, effects.confirm); !committed) return committed;
  carry_out(effects);
  for (const TaskChange& change : effects.persist.tasks) {
    const bool ended = change.expect_attempt && change.row.end.ended_at.is_set();
    if (ended) parts_.logs.finish(change.expect_attempt);
  }
  for (const Query& query : std::exchange(queries_, {})) query(parts_.engine, now);
  return {};
}

/// What comes of a result is often the next lookup. Where answers come at once, as from files of this machine, they are
/// taken in before anything is committed: nothing of it was told to anybody. Not where another event might have made a
/// result that is not durable yet. Returns how many it took in.
std::size_t Loop::follow_results(Now now) {
  constexpr auto kPatience = std::chrono::milliseconds(5);  // The loop hears nobody else meanwhile.
  constexpr auto kAtOnceMax = std::chrono::milliseconds(50);
  const auto is_result = [](const Event& event) { return std::holds_alternative<CacheLooked>(event); };
  constexpr Duration kSlowMin = std::chrono::milliseconds(10), kSlowMax = std::chrono::seconds(1);
  const bool only_results = std::all_of(inbox_.events.begin(), inbox_.events.end(), is_result);
  if (!only_results || now.mono < results_are_slow_until_) return 0;
  std::size_t taken = 0;
  while (!inbox_.events.empty() && read_clocks().mono - now.mono < kAtOnceMax) {
    std::vector<CacheLookup> lookups = parts_.engine.follow_results(inbox_.events, now);
    taken += std::exchange(inbox_.events, {}).size();
    if (lookups.empty()) break;
    const std::size_t asked = lookups.size();
    inbox_.events = parts_.results.look_up_soon(std::move(lookups), kPatience);
    if (inbox_.events.size() >= asked) {
      results_slow_for_ = kSlowMin;
      continue;
    }
    results_are_slow_until_ = read_clocks().mono + results_slow_for_;
    results_slow_for_ = std::min(results_slow_for_ * 2, kSlowMax);
    break;
  }
  return taken;
}

Result<void> Loop::commit(const Persist& changes, bool confirm) {
  if (confirm) return parts_.store.commit({});
  if (changes.empty()) return {};
  const MonoTime began = read_clocks().mono;
  if (auto committed = parts_.store.commit(changes); !committed) return committed;
  parts_.metrics.committed(changes, seconds_since(began));
  return {};
}

/// Everything here is a consequence of what is durable by now.
void Loop::carry_out(Effects& effects) {
  for (const WorkerSend& send : effects.send) parts_.port.send(send);
  for (PublishAssets& publish : effects.publish) parts_.publisher.publish(std::move(publish));
  for (DropOutputs& drop : effects.drop) parts_.publisher.drop(std::move(drop));
  if (effects.remove) parts_.publisher.remove(*std::move(effects.remove));
  for (RemoveRunObjects& remove : effects.remove_runs) parts_.publisher.remove_run(std::move(remove));
  for (const LookOrder& order : effects.looks) parts_.looker.order(order);
  for (const AuditRow& row : effects.persist.audit) {
    if (row.verb == "task.late" || row.verb == "run.late") log::warn("{} is late: {}", row.object, row.detail);
  }
  for (WantedDag& wanted : effects.wanted) parts_.dags.bring(std::move(wanted));
  dates_.insert(dates_.end(), effects.dates.begin(), effects.dates.end());
  past_.insert(past_.end(), effects.past.begin(), effects.past.end());
  if (effects.expired) expired_ = *std::move(effects.expired);
  if (effects.prune) prune_ = std::move(effects.prune);
  if (!effects.notify.empty()) parts_.notifier.take(std::move(effects.notify));
  if (!effects.lookups.empty()) parts_.results.look_up(std::move(effects.lookups));
  if (parts_.pods != nullptr) parts_.pods->carry_out(std::move(effects.pods));
  for (Reply& reply : effects.replies) {
    const auto waiting = waiting_.extract(reply.ticket);
    if (waiting) waiting.mapped()(std::move(reply.answer));
  }
}

int Loop::timeout_ms() const {
  constexpr std::int64_t kLongest = 60'000;
  constexpr std::int64_t kLookForSpace = 500;
  if (low_on_space_) return static_cast<int>(kLookForSpace);
  const MonoTime now = read_clocks().mono;
  const MonoTime latest = wake_at_.value_or(now + std::chrono::milliseconds(kLongest));
  const std::int64_t us = (prune_fails_.until(expired_fails_.until(dates_fail_.until(latest))) - now).count();
  return static_cast<int>(std::clamp<std::int64_t>((us + 999) / 1000, 0, kLongest));
}

bool Loop::stop_asked() const {
  pollfd stop{parts_.stop_fd, POLLIN, 0};
  return poll(&stop, 1, 0) > 0;
}

void Loop::reload_if_asked() {
  signalfd_siginfo asked{};
  bool reload = false;
  while (read(parts_.reload_fd, &asked, sizeof asked) == static_cast<ssize_t>(sizeof asked)) reload = true;
  if (reload) parts_.reload();
}

/// False: it is time to stop.
bool Loop::wait() {
  pollfd fds[] = {{parts_.port.fd(), POLLIN, 0},
                  {parts_.mailbox.fd(), POLLIN, 0},
                  {parts_.stop_fd, POLLIN, 0},
                  {parts_.reload_fd, POLLIN, 0}};
  if (poll(fds, std::size(fds), timeout_ms()) < 0 && errno != EINTR) log::error("poll: error {}", errno);
  if ((fds[3].revents & POLLIN) != 0) reload_if_asked();
  return (fds[2].revents & POLLIN) == 0;
}

}  // namespace chappe
