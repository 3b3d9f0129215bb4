// Attempts that are one request, or a check of data: what the worker does itself. That blocks, so it is done in a
// thread of its own; the rest is in executor.cc.
#include <fmt/format.h>

#include <utility>

#include "worker/app/execution.h"
#include "worker/artifacts/data_files.h"
#include "worker/request/answer.h"
#include "worker/request/request.h"

namespace chappe::worker {

/// How it went, as its attempt ends.
struct Executor::Asked {
  AttemptEnd end;
  std::string log;
};

namespace {

/// All of a text, of which nothing more comes.
std::string masked(SecretMask mask, std::string_view text) {
  std::string out = mask.mask(text);
  return out += mask.rest();
}

/// An answer may repeat what it was asked with.
void hide_secrets(http::Response& response, const SecretMask& mask) {
  if (mask.hides_nothing()) return;
  response.body = masked(mask, response.body);
  for (auto& [name, value] : response.headers) value = masked(mask, value);
}

Result<void> write_answer(const std::string& folder, const Value& answer, const std::string& body) {
  auto written = write_file(fmt::format("{}/{}", folder, kHttpAnswerFile), to_json(answer), false);
  return written ? write_file(fmt::format("{}/{}", folder, kHttpBodyFile), body, false) : written;
}

void judge(const ResolvedHttp& http, const http::Response& response, const Value& answer, AttemptEnd& end) {
  const auto refusal = request::refusal_of(http.success, answer);
  if (!refusal) return;
  end.reason = Reason::kCheckFailed;
  end.message = fmt::format("{}: status {} ({})", request::place_of(http), response.status, *refusal);
  if (!response.body.empty()) end.message += ": " + request::first_line(response.body);
}

}  // namespace

void Executor::request(Execution& execution) {
  const AttemptId attempt = execution.id();
  execution.folder->has_files = true;
  execution.transferring = requests_.submit([this, &execution] {
    const auto secret = [&](std::string_view name) -> std::optional<std::string> {
      for (const Secret& each : execution.handed.secrets) {
        if (each.name == name) return each.value;
      }
      return std::nullopt;
    };
    Asked asked;
    const ResolvedHttp& http = *execution.work().http;
    auto sent = request::send(http, {.secret = secret, .ca_file = parts_.ca_file, .stopped = execution.stopped});
    asked.log = std::move(sent.log);
    if (!sent.response) {
      asked.end.reason = Reason::kLaunchFailed;
      asked.end.message = std::move(sent.message);
    } else {
      hide_secrets(*sent.response, execution.mask);
      const Value answer = request::answer_value(*sent.response);
      judge(http, *sent.response, answer, asked.end);
      auto written = write_answer(execution.folder->work, answer, sent.response->body);
      if (!written) asked.end = {.reason = Reason::kInvalidOutput, .message = written.error().message};
    }
    asked.log = masked(execution.mask, asked.log);
    asked.end.message = masked(execution.mask, asked.end.message);
    return [this, &execution, asked = std::move(asked)]() mutable { requested(execution, std::move(asked)); };
  });
  if (!execution.transferring) return fail_attempt(execution, Reason::kLaunchFailed, "too many requests are under way");
  parts_.agent.program_started(attempt, parts_.now());
}

void Executor::measure(Execution& execution) {
  execution.folder->has_files = true;
  execution.transferring = requests_.submit([this, &execution] {
    auto verdict = artifacts::check_data(execution.folder->work, execution.work(), execution.stopped);
    Asked asked{.end = {.reason = verdict.reason, .message = std::move(verdict.message)},
                .log = std::move(verdict.log)};
    if (verdict.reason == Reason::kNone) {
      auto written =
          write_file(fmt::format("{}/{}", execution.folder->work, kFiguresFile), to_json(verdict.figures), false);
      if (!written) asked.end = {.reason = Reason::kArtifactIo, .message = written.error().message};
    }
    return [this, &execution, asked = std::move(asked)]() mutable { requested(execution, std::move(asked)); };
  });
  if (!execution.transferring) return fail_attempt(execution, Reason::kLaunchFailed, "too many checks are under way");
  parts_.agent.program_started(execution.id(), parts_.now());
}

void Executor::requested(Execution& execution, Asked asked) {
  execution.transferring = false;
  forget_secrets(execution);
  const Now now = parts_.now();
  append_text(execution.log, asked.log);
  const std::uint64_t bytes_in = execution.end.usage.bytes_in;
  execution.end = std::move(asked.end);
  execution.end.usage.bytes_in = bytes_in;
  parts_.agent.program_ended(execution.id(), now);
  store_outputs(execution, now);
}

}  // namespace chappe::worker
