#include "proto/http/mail.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "engine/base/assert.h"
#include "proto/http/curl_library.h"

namespace chappe::http {
namespace {

constexpr std::size_t kEncodedWordBytes = 45;  ///< Of text in one encoded word: 75 characters with its frame, at most.
constexpr std::size_t kBase64Line = 57;        ///< Bytes a line of 76 characters.
constexpr long kPermanent = 500;               ///< Replies from here on: another try is answered the same.

struct MailCleanup {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::string base64_of(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t at) -> std::uint32_t {
      return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0;
    };
    const std::uint32_t three = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (int shift = 18; shift >= 0; shift -= 6) out += kDigits[three >> shift & 63U];
    if (i + 2 >= bytes.size()) out.back() = '=';
    if (i + 1 >= bytes.size()) out[out.size() - 2] = '=';
  }
  return out;
}

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

/// As RFC 2047 has it: no character is cut, and no line break of the text is one of the header's.
std::string header_text(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = std::min(begin + kEncodedWordBytes, text.size());
    while (end < text.size() && end > begin + 1 && continues(text[end])) --end;
    out += fmt::format("{}=?utf-8?B?{}?=", begin == 0 ? "" : "\r\n ", base64_of(text.substr(begin, end - begin)));
    begin = end;
  }
  return out;
}

std::string whole_message(const MailServer& server, const Mail& mail) {
  std::string out = fmt::format("From: {}\r\nTo: {}\r\nSubject: {}\r\nMessage-ID: <{}>\r\n", server.from,
                                fmt::join(mail.to, ", "), header_text(mail.subject), mail.message_id);
  out += "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n";
  out += "Content-Transfer-Encoding: base64\r\n\r\n";
  for (std::size_t at = 0; at < mail.body.size(); at += kBase64Line) {
    out += base64_of(std::string_view(mail.body).substr(at, kBase64Line)) + "\r\n";
  }
  return out;
}

struct Upload {
  std::string text;
  std::size_t sent = 0;
};

std::size_t give_message(char* data, std::size_t, std::size_t size, void* user) {
  Upload& upload = *static_cast<Upload*>(user);
  const std::size_t part = std::min(size, upload.text.size() - upload.sent);
  std::memcpy(data, upload.text.data() + upload.sent, part);
  upload.sent += part;
  return part;
}

}  // namespace

Result<void> send_mail(const MailServer& server, const Mail& mail) {
  auto made = with_library([] {
    static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
    CHAPPE_ASSERT(global == CURLE_OK);
    return std::unique_ptr<CURL, MailCleanup>(curl_easy_init());
  });
  if (!made) return fail(std::move(made.error()));
  const std::unique_ptr<CURL, MailCleanup> easy = *std::move(made);
  if (easy == nullptr) return fail(ErrorCode::kUnavailable, "no memory for a mail");
  std::unique_ptr<curl_slist, MailCleanup> to;
  for (const std::string& address : mail.to) {
    curl_slist* longer = curl_slist_append(to.get(), ("<" + address + ">").c_str());
    if (longer == nullptr) return fail(ErrorCode::kUnavailable, "no memory for a mail");
    (void)to.release();
    to.reset(longer);
  }
  Upload upload{whole_message(server, mail)};
  const std::string from = "<" + server.from + ">";
  const auto with = [&](CURLoption option, auto value) {
    CHAPPE_ASSERT(curl_easy_setopt(easy.get(), option, value) == CURLE_OK);
  };
  with(CURLOPT_URL, server.url.c_str());
  with(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  with(CURLOPT_USE_SSL,
       static_cast<long>(server.user.empty() && server.ca_file.empty() ? CURLUSESSL_TRY : CURLUSESSL_ALL));
  if (!server.user.empty()) {
    with(CURLOPT_USERNAME, server.user.c_str());
    with(CURLOPT_PASSWORD, server.password.c_str());
  }
  if (!server.ca_file.empty()) with(CURLOPT_CAINFO, server.ca_file.c_str());
  with(CURLOPT_MAIL_FROM, from.c_str());
  with(CURLOPT_MAIL_RCPT, to.get());
  with(CURLOPT_READFUNCTION, give_message);
  with(CURLOPT_READDATA, static_cast<void*>(&upload));
  with(CURLOPT_UPLOAD, 1L);
  with(CURLOPT_NOSIGNAL, 1L);
  with(CURLOPT_TIMEOUT_MS, static_cast<long>(server.timeout.count()));
  const CURLcode code = curl_easy_perform(easy.get());
  if (code == CURLE_OK) return {};
  long reply = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &reply);
  const bool refused = reply >= kPermanent || code == CURLE_LOGIN_DENIED;
  return fail(refused ? ErrorCode::kInvalidInput : ErrorCode::kUnavailable,
              reply > 0 ? fmt::format("the mail server: {} (reply {})", curl_easy_strerror(code), reply)
                        : fmt::format("the mail server: {}", curl_easy_strerror(code)));
}

}  // namespace chappe::http
