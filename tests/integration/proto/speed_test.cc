// Prints what the wire does in this build on this machine; asserts only that everything arrived.
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/integration/proto/wire_test.h"

namespace chappe::transport {
namespace {

using Clock = std::chrono::steady_clock;

double microseconds(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

void wait_for(int fd) {
  pollfd one{fd, POLLIN, 0};
  (void)poll(&one, 1, 50);  // A time-out is no failure: the caller looks again.
}

class SpeedTest : public WireTest {
 protected:
  /// A worker on a thread of its own: answers each batch of assignments with one report of their ends.
  void work() {
    const auto scheduler = link();
    wire::WorkerEncoder encoder;
    bool greeted = false;
    while (!stop_) {
      if (!greeted) greeted = scheduler->send(encoder.hello(hello("w")));
      while (const auto told = scheduler->receive()) answer(*scheduler, encoder, *told);
      wait_for(scheduler->fd());
    }
  }

  static void answer(SchedulerLink& scheduler, wire::WorkerEncoder& encoder, const WorkerSend& told) {
    for (const Assignment& one : told.assign) {
      const HeldAttempt what{.key = one.key, .attempt = one.attempt};
      encoder.add(AttemptFinished{
          .connection = {}, .what = what, .end = {.started_at = {1}, .ended_at = {2}}, .outputs = nullptr});
    }
    if (encoder.report_bytes() == 0) return;
    const std::string report = encoder.take_report();
    while (!scheduler.send(report)) wait_for(scheduler.fd());
  }

  /// Sends `count` assignments, and waits for as many ends. Returns the time that took.
  Clock::duration dispatch(ConnectionId to, std::uint32_t count) {
    WorkerSend send{.to = to, .batch = 1};
    const auto run = std::make_shared<const RunContext>(RunContext{.seq = {1}, .id = {}, .dag = "d"});
    const auto noop = std::make_shared<const ResolvedWork>();
    for (std::uint32_t i = 0; i < count; ++i) {
      send.assign.push_back({.attempt = {i + 1}, .key = {{1}, i}, .task = "t", .run = run, .work = noop});
    }
    const auto begin = Clock::now();
    port_->send(send);
    std::size_t ended = 0;
    while (ended < count) {
      said_.events.clear();
      while (port_->receive(said_, 100) > 0) continue;
      ended += said_.events.size();
      if (ended < count && said_.events.empty()) wait_for(port_->fd());
    }
    EXPECT_EQ(ended, count);
    return Clock::now() - begin;
  }

  std::atomic<bool> stop_ = false;
};

TEST_F(SpeedTest, PrintsRoundTripAndRateWithCurve) {
  bind();
  std::thread worker([this] { work(); });
  serve_until({}, [&] { return !said_.events.empty(); });
  const ConnectionId connection = events<WorkerJoined>()[0].connection;

  std::vector<double> trips;
  for (int i = 0; i < 1000; ++i) trips.push_back(microseconds(dispatch(connection, 1)));
  std::sort(trips.begin(), trips.end());
  fmt::print("one task there and back: p50 {:.0f} us, p99 {:.0f} us\n", trips[500], trips[990]);

  std::vector<double> batches;
  for (int i = 0; i < 9; ++i) batches.push_back(microseconds(dispatch(connection, 10'000)));
  std::sort(batches.begin(), batches.end());
  fmt::print("10,000 tasks there and back: {:.2f} us a task\n", batches[4] / 10'000);
  stop_ = true;
  worker.join();
}

TEST_F(SpeedTest, PrintsWhatEncodingAndDecodingTake) {
  WorkerSend send{.to = {1}, .batch = 1};
  const auto noop = std::make_shared<const ResolvedWork>();
  RunContext context;
  context.seq = {1};
  const auto shared = std::make_shared<const RunContext>(context);
  wire::WorkerEncoder reports;
  for (std::uint32_t i = 0; i < 5'000; ++i) {
    send.assign.push_back(
        {.attempt = {i + 1}, .key = {{1}, i}, .task = "task", .map_key = "12", .run = shared, .work = noop});
    reports.add(AttemptFinished{.connection = {},
                                .what = {{{1}, i}, {i + 1}},
                                .end = {.started_at = {1}, .ended_at = {2}},
                                .outputs = nullptr});
  }
  wire::SchedulerEncoder encoder;
  wire::SchedulerDecoder decoder;
  wire::WorkerDecoder worker_decoder;
  const std::string report = reports.take_report();
  std::array<double, 3> best{1e9, 1e9, 1e9};
  for (int i = 0; i < 20; ++i) {
    const auto begin = Clock::now();
    const std::vector<std::string> messages = encoder.encode(send);
    const auto encoded = Clock::now();
    for (const std::string& message : messages)
      ASSERT_TRUE(decoder.decode(std::as_bytes(std::span(message))).has_value());
    const auto decoded = Clock::now();
    wire::WorkerSays says;
    ASSERT_TRUE(worker_decoder.decode(std::as_bytes(std::span(report)), says).has_value());
    const auto read = Clock::now();
    best = {std::min(best[0], microseconds(encoded - begin)), std::min(best[1], microseconds(decoded - encoded)),
            std::min(best[2], microseconds(read - decoded))};
  }
  fmt::print("an assignment: encode {:.0f} ns, decode {:.0f} ns; an end: decode {:.0f} ns\n", best[0] / 5, best[1] / 5,
             best[2] / 5);
}

}  // namespace
}  // namespace chappe::transport
