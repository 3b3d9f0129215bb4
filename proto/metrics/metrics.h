/// \file
/// What Prometheus reads: counters, gauges and histograms in its text format, and a small server for a process that has
/// no other. Names follow its conventions: chappe_..., _total, _seconds, _bytes; no label holds a run or an attempt.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "engine/base/result.h"

// Known by name only: Prometheus' headers end in this folder.
namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace chappe::metrics {

using Labels = std::map<std::string, std::string>;

/// Only grows. Refers to its registry, which must outlive it. Thread-safe; some nanoseconds.
class Counter {
 public:
  explicit Counter(prometheus::Counter& counter) : counter_(&counter) {}
  void add(double by = 1) const;

 private:
  prometheus::Counter* counter_;
};

/// Goes up and down. As a Counter otherwise.
class Gauge {
 public:
  explicit Gauge(prometheus::Gauge& gauge) : gauge_(&gauge) {}
  void set(double value) const;

 private:
  prometheus::Gauge* gauge_;
};

/// How long things take. As a Counter otherwise.
class Seconds {
 public:
  explicit Seconds(prometheus::Histogram& histogram) : histogram_(&histogram) {}
  void observe(double seconds) const;

 private:
  prometheus::Histogram* histogram_;
};

/// Thread-safe. The same name and labels always mean the same metric; one name has one kind.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Counter counter(const std::string& name, const std::string& help, const Labels& labels = {});
  /// With buckets from 100 microseconds to 100 seconds.
  Seconds seconds(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  /// Prometheus' text format. With what this process uses, by the names that all exporters give it.
  std::string text() const;

 private:
  friend class Exposer;
  struct State;
  std::shared_ptr<State> state_;
};

/// Serves a registry at http://HOST:PORT/metrics, to anybody who can reach it. Its threads end with it.
class Exposer {
 public:
  /// `listen`: "HOST:PORT"; port 0: a free one. `registry` must outlive it. Errors: kUnavailable.
  static Result<std::unique_ptr<Exposer>> start(const std::string& listen, const Registry& registry);
  ~Exposer();
  int port() const;

 private:
  struct State;
  explicit Exposer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace chappe::metrics
