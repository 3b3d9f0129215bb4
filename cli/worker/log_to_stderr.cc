#include "cli/worker/log_to_stderr.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace chappe::cli {
namespace {

spdlog::level::level_enum level_of(log::Level level) {
  switch (level) {
    case log::Level::kDebug:
      return spdlog::level::debug;
    case log::Level::kInfo:
      return spdlog::level::info;
    case log::Level::kWarning:
      return spdlog::level::warn;
    case log::Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void log_to_stderr(log::Level least) {
  auto logger = std::make_shared<spdlog::logger>("chappe", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(level_of(least));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l [%P] %v");
  log::install([logger](log::Level level, std::string_view line) { logger->log(level_of(level), "{}", line); }, least);
}

}  // namespace chappe::cli
