#include "proto/metrics/metrics.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include "proto/metrics/process_use.h"

namespace chappe::metrics {
namespace {

const prometheus::Histogram::BucketBoundaries kBounds{1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2,
                                                      0.1,  0.25,   0.5,  1,    2.5,    5,    10,   30,     100};

}  // namespace

void Counter::add(double by) const { counter_->Increment(by); }
void Gauge::set(double value) const { gauge_->Set(value); }
void Seconds::observe(double seconds) const { histogram_->Observe(seconds); }

struct Registry::State : prometheus::Collectable {
  std::vector<prometheus::MetricFamily> Collect() const override {
    const ProcessUse use = read_process_use();
    const std::scoped_lock lock(mutex);
    cpu->Increment(std::max(0.0, use.cpu_seconds - std::exchange(cpu_seconds, use.cpu_seconds)));
    memory->Set(use.resident_bytes);
    descriptors->Set(use.open_descriptors);
    started->Set(use.started_at);
    return registry.Collect();
  }

  void add_process() {
    const auto gauge = [this](const char* name, const char* help) {
      return &prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
    };
    memory = gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
    descriptors = gauge("process_open_fds", "Number of open file descriptors.");
    started = gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.");
    cpu = &prometheus::BuildCounter()
               .Name("process_cpu_seconds_total")
               .Help("Total user and system CPU time spent in seconds.")
               .Register(registry)
               .Add({});
  }

  prometheus::Registry registry;
  mutable std::mutex mutex;
  mutable double cpu_seconds = 0;
  prometheus::Counter* cpu = nullptr;
  prometheus::Gauge* memory = nullptr;
  prometheus::Gauge* descriptors = nullptr;
  prometheus::Gauge* started = nullptr;
};

Registry::Registry() : state_(std::make_shared<State>()) { state_->add_process(); }
Registry::~Registry() = default;

Counter Registry::counter(const std::string& name, const std::string& help, const Labels& labels) {
  return Counter(prometheus::BuildCounter().Name(name).Help(help).Register(state_->registry).Add(labels));
}

Seconds Registry::seconds(const std::string& name, const std::string& help, const Labels& labels) {
  return Seconds(prometheus::BuildHistogram().Name(name).Help(help).Register(state_->registry).Add(labels, kBounds));
}

Gauge Registry::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  return Gauge(prometheus::BuildGauge().Name(name).Help(help).Register(state_->registry).Add(labels));
}

std::string Registry::text() const { return prometheus::TextSerializer().Serialize(state_->Collect()); }

struct Exposer::State {
  State(const std::string& listen, const std::weak_ptr<prometheus::Collectable>& registry) : server(listen, 1) {
    server.RegisterCollectable(registry);
  }
  prometheus::Exposer server;
};

Result<std::unique_ptr<Exposer>> Exposer::start(const std::string& listen, const Registry& registry) {
  try {
    return std::unique_ptr<Exposer>(new Exposer(std::make_unique<State>(listen, registry.state_)));
  } catch (const std::exception& error) {
    return fail(ErrorCode::kUnavailable, fmt::format("listen on {} for metrics: {}", listen, error.what()));
  }
}

Exposer::Exposer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Exposer::~Exposer() = default;

int Exposer::port() const { return state_->server.GetListeningPorts().at(0); }

}  // namespace chappe::metrics
