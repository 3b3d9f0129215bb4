// WorkerPort and SchedulerLink over loopback, with CURVE.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zmq.hpp>

#include "tests/integration/proto/wire_test.h"

namespace chappe::transport {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::SizeIs;

/// A bare TCP connection to the port.
int tcp_connect(const std::string& endpoint) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

class TransportTest : public WireTest {
 protected:
  /// A DEALER of libzmq's own, for saying what a SchedulerLink never would.
  zmq::socket_t raw_dealer(zmq::context_t& context, const KeyPair& keys) {
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::curve_serverkey, scheduler_keys_.public_key);
    socket.set(zmq::sockopt::curve_publickey, keys.public_key);
    socket.set(zmq::sockopt::curve_secretkey, keys.secret_key);
    socket.connect(port_->endpoint());
    return socket;
  }

  void expect_the_port_serves() {
    const std::size_t before = events<WorkerJoined>().size();
    const auto good = link();
    send(*good, encoder_.hello(hello("good")));
    serve_until({good.get()}, [&] { return events<WorkerJoined>().size() == before + 1; });
  }
};

TEST_F(TransportTest, CarriesBothWaysBetweenThoseWhoKnowEachOther) {
  bind();
  const auto worker = link();
  send(*worker, encoder_.hello(hello("w1")));
  serve_until({worker.get()}, [&] { return !said_.events.empty(); });
  ASSERT_THAT(events<WorkerJoined>(), SizeIs(1));
  EXPECT_EQ(events<WorkerJoined>()[0].hello, hello("w1"));

  port_->send({.to = events<WorkerJoined>()[0].connection, .batch = 7});
  serve_until({worker.get()}, [&] { return !told_.empty(); });
  EXPECT_EQ(told_[0].second.batch, 7u);
  EXPECT_EQ(worker->connections(), 1u);
  EXPECT_EQ(worker->trouble(), "");
}

TEST_F(TransportTest, AnUnknownKeyCannotSayAWord) {
  bind();
  const auto stranger = link_with(new_keys(), scheduler_keys_.public_key);
  serve_until({stranger.get()}, [&] {
    (void)stranger->send(encoder_.hello(hello("stranger")));
    return port_->counters().refused >= 3;
  });
  EXPECT_EQ(port_->counters().received, 0u);
  EXPECT_EQ(stranger->connections(), 0u);
  EXPECT_THAT(stranger->trouble(), HasSubstr("does not know this worker's key"));
  expect_the_port_serves();
}

TEST_F(TransportTest, LetsTheKeyOfAnAttemptInAsLongAsItIsWanted) {
  bind();
  const KeyPair keys = derive_keys(scheduler_keys_, "pod 7");
  port_->admit(keys.public_key, {7});
  const auto pod = link_with(keys, scheduler_keys_.public_key);
  send(*pod, encoder_.hello(hello("p")));
  serve_until({pod.get()}, [&] { return !said_.events.empty(); });
  EXPECT_EQ(events<WorkerJoined>()[0].join_key_of, AttemptId{7});
  EXPECT_EQ(events<WorkerJoined>()[0].worker_key, keys.public_key);

  port_->dismiss({7});
  const auto late = link_with(keys, scheduler_keys_.public_key);
  serve_until({late.get()}, [&] { return port_->counters().refused >= 1; });
  // The connection that stands may end what it has begun, and does not become another kind of worker.
  send(*pod, encoder_.hello(hello("p")));
  serve_until({pod.get()}, [&] { return events<WorkerJoined>().size() == 2; });
  EXPECT_EQ(events<WorkerJoined>()[1].join_key_of, AttemptId{7});
}

TEST_F(TransportTest, RefusedWorkersRestLongerAndLonger) {
  bind();
  const auto stranger = link_with(new_keys(), scheduler_keys_.public_key);
  serve_for({stranger.get()}, 1500ms);
  // 15 ms, doubled each time: about seven tries in this time; without the rest it would be hundreds.
  EXPECT_GE(port_->counters().refused, 2u);
  EXPECT_LE(port_->counters().refused, 12u);
}

TEST_F(TransportTest, AWrongServerKeyNeverConnects) {
  bind();
  const auto mistaken = link_with(worker_keys_, new_keys().public_key);
  serve_until({mistaken.get()},
              [&] { return mistaken->trouble().find("its key is not the configured one") != std::string::npos; });
  EXPECT_FALSE(mistaken->send(encoder_.hello(hello("w1"))));
  EXPECT_EQ(mistaken->connections(), 0u);
  EXPECT_EQ(port_->counters().received, 0u);
}

TEST_F(TransportTest, EachConnectionHasItsOwnNumberWhateverItsKey) {
  bind();
  const auto one = link();
  const auto two = link();
  const auto three = link_with(other_keys_, scheduler_keys_.public_key);
  send(*one, encoder_.hello(hello("one")));
  send(*two, encoder_.hello(hello("two")));
  send(*three, encoder_.hello(hello("three")));
  serve_until({one.get(), two.get(), three.get()}, [&] { return events<WorkerJoined>().size() == 3; });
  std::set<ConnectionId> numbers;
  for (const WorkerJoined& joined : events<WorkerJoined>()) numbers.insert(joined.connection);
  EXPECT_THAT(numbers, SizeIs(3));

  for (const WorkerJoined& joined : events<WorkerJoined>()) {
    if (joined.hello.name == "two") port_->send({.to = joined.connection, .batch = 9});
  }
  serve_until({one.get(), two.get(), three.get()}, [&] { return !told_.empty(); });
  EXPECT_EQ(told_[0].first, two.get());
  EXPECT_THAT(told_, SizeIs(1));
}

TEST_F(TransportTest, LogsCarryTheirConnectionToo) {
  bind();
  const auto worker = link();
  const wire::LogChunk chunk{.what = {InstanceKey{RunSeq{1}, 2}, AttemptId{3}}, .offset = 4, .data = "five"};
  send(*worker, encoder_.logs({&chunk, 1}));
  serve_until({worker.get()}, [&] { return said_.logs.size() == 1; });
  EXPECT_EQ(said_.logs[0].data, "five");
  EXPECT_TRUE(said_.logs[0].connection);
}

TEST_F(TransportTest, CountsWhatIsNoMessageAndGoesOnWithTheSameConnection) {
  bind();
  zmq::context_t context;
  zmq::socket_t dealer = raw_dealer(context, worker_keys_);
  (void)dealer.send(zmq::str_buffer("\xff\xff garbage"), zmq::send_flags::none);
  (void)dealer.send(zmq::str_buffer(""), zmq::send_flags::none);
  (void)dealer.send(zmq::str_buffer("two"), zmq::send_flags::sndmore);
  (void)dealer.send(zmq::str_buffer("frames"), zmq::send_flags::none);
  (void)dealer.send(zmq::message_t(encoder_.hello(hello("reformed"))), zmq::send_flags::none);
  serve_until({}, [&] { return !said_.events.empty(); });
  EXPECT_EQ(events<WorkerJoined>()[0].hello.name, "reformed");
  EXPECT_EQ(port_->counters().malformed, 3u);
  EXPECT_EQ(port_->counters().received, 4u);
  EXPECT_THAT(port_->take_complaints(), SizeIs(1)) << "one a minute";
  expect_the_port_serves();
}

TEST_F(TransportTest, AMessageOverTheBoundCostsItsSenderTheConnection) {
  bind();
  zmq::context_t context;
  zmq::socket_t dealer = raw_dealer(context, worker_keys_);
  (void)dealer.send(zmq::message_t(wire::kMessageMax + 1), zmq::send_flags::none);
  serve_for({}, 500ms);
  EXPECT_EQ(port_->counters().received, 0u);
  expect_the_port_serves();
}

TEST_F(TransportTest, TakesAMessageJustUnderTheBound) {
  bind();
  const auto worker = link();
  std::vector<wire::LogChunk> chunks(15, {.what = {InstanceKey{RunSeq{1}, 2}, AttemptId{3}}, .offset = 0, .data = {}});
  for (wire::LogChunk& chunk : chunks) chunk.data.assign(wire::kLogChunkMax, 'x');
  send(*worker, encoder_.logs(chunks));
  serve_until({worker.get()}, [&] { return said_.logs.size() == 15; });
}

TEST_F(TransportTest, ConnectionsThatSayNothingDoNoHarm) {
  bind();
  std::vector<int> silent;
  for (int i = 0; i < 200; ++i) silent.push_back(tcp_connect(port_->endpoint()));
  for (int i = 0; i < 20; ++i) {
    const int fd = tcp_connect(port_->endpoint());
    EXPECT_GT(::send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 0);
    silent.push_back(fd);
  }
  expect_the_port_serves();
  for (const int fd : silent) close(fd);
}

TEST_F(TransportTest, ALinkThatIsThereBeforeTheSchedulerFindsItSoon) {
  bind();
  const std::string endpoint = port_->endpoint();
  const auto worker = link();
  port_.reset();
  serve_for({worker.get()}, 300ms);
  bind(endpoint);
  const auto bound = std::chrono::steady_clock::now();
  send(*worker, encoder_.hello(hello("w1")));
  serve_until({worker.get()}, [&] { return !said_.events.empty(); });
  const auto took = std::chrono::steady_clock::now() - bound;
  EXPECT_LT(took, 2s);  // 15 ms, doubled while nobody was there.
}

TEST_F(TransportTest, ARestartedSchedulerIsANewConnectionForTheWorker) {
  bind();
  const std::string endpoint = port_->endpoint();
  const auto worker = link();
  send(*worker, encoder_.hello(hello("w1")));
  serve_until({worker.get()}, [&] { return !said_.events.empty(); });
  ASSERT_EQ(worker->connections(), 1u);

  port_.reset();
  said_ = {};
  bind(endpoint);
  serve_until({worker.get()}, [&] { return worker->connections() == 2; });
  send(*worker, encoder_.heartbeat(0, {}));
  serve_until({worker.get()}, [&] { return !said_.events.empty(); });
  EXPECT_THAT(events<WorkerHeartbeat>(), SizeIs(1));
}

TEST_F(TransportTest, SendingToWhoIsGoneIsCountedAndNeverWaits) {
  bind();
  auto worker = link();
  send(*worker, encoder_.hello(hello("w1")));
  serve_until({worker.get()}, [&] { return !said_.events.empty(); });
  const ConnectionId connection = events<WorkerJoined>()[0].connection;
  worker.reset();
  serve_until({}, [&] {
    port_->send({.to = connection, .batch = 1});
    return port_->counters().unroutable > 0;
  });
  port_->send({.to = ConnectionId{999}, .batch = 1});
  EXPECT_GE(port_->counters().unroutable, 2u);
}

TEST_F(TransportTest, APeerThatDoesNotReadCostsABoundedQueueAndNoTime) {
  bind();
  const auto worker = link();
  send(*worker, encoder_.hello(hello("w1")));
  serve_until({worker.get()}, [&] { return !said_.events.empty(); });
  WorkerSend large{.to = events<WorkerJoined>()[0].connection, .batch = 1};
  large.acknowledged.assign(10'000, AttemptId{~0ULL});
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 10'000 && port_->counters().unroutable == 0; ++i) port_->send(large);
  EXPECT_GT(port_->counters().unroutable, 0u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kDeadline);
}

TEST_F(TransportTest, TellsWhyItCannotListen) {
  bind();
  const auto taken = WorkerPort::bind({.endpoint = port_->endpoint(), .keys = scheduler_keys_, .authorized = {}});
  ASSERT_FALSE(taken.has_value());
  EXPECT_THAT(taken.error().message, HasSubstr("Address already in use"));
}

TEST_F(TransportTest, TellsWhyItCannotConnect) {
  bind();
  const auto wrong =
      SchedulerLink::connect({.endpoint = "nonsense", .server_key = scheduler_keys_.public_key, .keys = worker_keys_});
  ASSERT_FALSE(wrong.has_value());
  EXPECT_THAT(wrong.error().message, HasSubstr("connect to nonsense"));
}

}  // namespace
}  // namespace chappe::transport
