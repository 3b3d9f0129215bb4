/// \file
/// One container from its image to its removal. Blocks all the time: it has a thread of its own.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "worker/container/container_api.h"
#include "worker/container/containers.h"
#include "worker/container/main_process.h"
#include "worker/container/outbox.h"
#include "worker/container/sidecars.h"
#include "worker/container/stop_orders.h"

namespace chappe::container {

class ContainerLife {
 public:
  /// All outlive this.
  ContainerLife(ContainerApi& api, const ContainerSpec& spec, const Company& company, StopOrders& orders,
                const exec::Fence& fence, Outbox& outbox)
      : api_(api),
        spec_(spec),
        orders_(orders),
        fence_(fence),
        outbox_(outbox),
        sidecars_(api, spec, company, orders, outbox) {}

  /// Start to removal. Tells all but the end.
  ContainerEnd live();

 private:
  Result<void> create_and_run();
  void follow(const std::function<void()>& attached);
  Result<void> run_while_followed();
  void find_process();
  void watch();
  bool wait_for_news(std::optional<MonoTime> kill_at);
  void obey(std::optional<MonoTime>& kill_at);
  void send(int number, const char* name);
  void settle();
  void tell_usage();
  std::string missing_program();
  bool is_there(const std::string& place);

  ContainerApi& api_;
  const ContainerSpec& spec_;
  StopOrders& orders_;
  const exec::Fence& fence_;
  Outbox& outbox_;
  Sidecars sidecars_;

  std::string id_;
  std::optional<MainProcess> process_;
  std::atomic<bool> nobody_listens_ = false;
  bool term_sent_ = false;
  MonoTime kill_next_;
  ContainerEnd end_;
};

}  // namespace chappe::container
