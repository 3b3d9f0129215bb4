#include "scheduler/notify/channels.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <span>
#include <utility>

#include "engine/base/value.h"
#include "scheduler/notify/program.h"

namespace chappe::notify {
namespace {

constexpr std::size_t kSecretMax = 4096;      ///< Bytes of a secret.
constexpr std::size_t kAnswerMax = 64 << 10;  ///< Bytes of a web hook's answer: nobody reads it.
constexpr std::size_t kLinesMax = 50;         ///< Of a summary.
constexpr std::string_view kSecretBegin = "${{ secrets.";
constexpr std::chrono::seconds kProgramTime{30};

Value id_of(const NotificationRow& row) { return fmt::format("{}/{}", row.run_id.text(), row.id); }

/// An answer that says: not like this. 408 and 429 only ask for patience.
bool is_refusal(int status) { return status >= 400 && status < 500 && status != 408 && status != 429; }

}  // namespace

std::string text_of(const Letter& letter) {
  if (letter.about.size() == 1) return letter.about[0].text;
  std::string text = fmt::format("{} notifications that came too fast to be sent one by one:", letter.about.size());
  for (std::size_t i = 0; i < letter.about.size() && i < kLinesMax; ++i) text += "\n" + letter.about[i].text;
  if (letter.about.size() > kLinesMax) text += fmt::format("\n... and {} more", letter.about.size() - kLinesMax);
  return text;
}

std::string body_of(const Letter& letter) {
  const NotificationRow& row = letter.about[0];
  ValueMap body{{"text", text_of(letter)},
                {"notice", name_of(row.notice)},
                {"dag", row.dag},
                {"run", row.run_id.text()},
                {"task", row.task.empty() ? Value() : Value(row.task)},
                {"id", id_of(row)},
                {"at", to_iso8601(row.made_at)}};
  ValueList others;
  for (std::size_t i = 1; i < letter.about.size(); ++i) others.push_back(id_of(letter.about[i]));
  body.emplace_back("others", std::move(others));
  return to_json(body);
}

Channels::Channels(ChannelConfig config)
    : config_(std::move(config)), http_({.proxy_of_environment = true, .guarded = true}) {}

Result<void> Channels::send(const NotifyChannel& channel, const Letter& letter) {
  switch (channel.kind) {
    case NotifyChannel::Kind::kWebhook:
      return post(channel, letter);
    case NotifyChannel::Kind::kEmail:
      return mail(channel, letter);
    case NotifyChannel::Kind::kCommand:
      return run(channel, letter);
  }
  return fail(ErrorCode::kUnsupported, "nobody knows how to tell by this channel");
}

/// The URL itself, or what the operator keeps under the name. It is in nobody's error.
Result<std::string> Channels::address_of(const NotifyChannel& channel) const {
  if (!channel.target.starts_with(kSecretBegin)) return channel.target;
  const std::string name =
      channel.target.substr(kSecretBegin.size(), channel.target.find(' ', kSecretBegin.size()) - kSecretBegin.size());
  if (config_.secrets.empty()) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("secret '{}': the scheduler was started without --notify-secrets", name));
  }
  std::ifstream in(config_.secrets / name, std::ios::binary);
  std::string text(kSecretMax, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == '\0')) text.pop_back();
  if (text.empty()) return fail(ErrorCode::kUnavailable, fmt::format("secret '{}' is not there, or is empty", name));
  return text;
}

Result<void> Channels::post(const NotifyChannel& channel, const Letter& letter) {
  const auto url = address_of(channel);
  if (!url) return fail(url.error());
  const std::string body = body_of(letter);
  using std::chrono::seconds;
  http::Request request{.method = "POST", .url = *url, .headers = {{"Content-Type", "application/json"}}};
  request.body = std::as_bytes(std::span(body));
  request.connect_timeout = seconds(5);
  request.timeout = seconds(10);
  request.body_bytes_max = kAnswerMax;
  const auto answer = http_.send(request);
  if (!answer) {
    const bool may_pass = answer.error().code == ErrorCode::kUnavailable;
    return fail(answer.error().code, may_pass ? "the web hook cannot be reached, or did not answer in time"
                                              : "the web hook's URL cannot be posted to");
  }
  if (answer->status >= 200 && answer->status < 300) return {};
  return fail(is_refusal(answer->status) ? ErrorCode::kInvalidInput : ErrorCode::kUnavailable,
              fmt::format("the web hook answered with {}", answer->status));
}

Result<void> Channels::mail(const NotifyChannel& channel, const Letter& letter) const {
  if (config_.mail.url.empty()) {
    return fail(ErrorCode::kUnsupported, "the scheduler was started without --smtp: it sends no e-mail");
  }
  const std::string text = text_of(letter);
  http::Mail mail{.to = channel.words, .subject = "[chappe] " + text.substr(0, text.find('\n')), .body = text + "\n"};
  const NotificationRow& row = letter.about[0];
  mail.message_id = fmt::format("{}.{}@chappe", row.run_id.text(), row.id);
  return http::send_mail(config_.mail, mail);
}

Result<void> Channels::run(const NotifyChannel& channel, const Letter& letter) const {
  const auto program = config_.commands.find(channel.words.at(0));
  if (program == config_.commands.end()) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("the scheduler was started without --notify-command {}=PATH", channel.words.at(0)));
  }
  std::vector<std::string> command = channel.words;
  command[0] = program->second;
  return run_program(command, body_of(letter) + "\n", kProgramTime);
}

}  // namespace chappe::notify
