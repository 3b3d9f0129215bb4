// PUT and GET of 64 MiB through the S3 object store, beside libcurl alone with a presigned URL: pairs, back to back,
// the median of their ratios. Against a server that does nothing (see loopback_s3.h), or a real one:
//
//   object_bench [ENDPOINT ACCESS_KEY SECRET_KEY [CA_FILE]]
#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <vector>

#include "bench/loopback_s3.h"
#include "storage/digest/digest.h"
#include "storage/s3/s3_object_store.h"

namespace chappe::bench {
namespace {

constexpr std::size_t kBytes = std::size_t{64} << 20;
constexpr int kPairs = 21;
constexpr std::string_view kBucket = "chappe-bench";

[[noreturn]] void stop(const std::string& why) {
  fmt::print(stderr, "object_bench: {}\n", why);
  std::exit(1);
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// What this process's threads have worked: it tells two programs apart also where others want the machine.
double cpu_seconds() {
  timespec spent{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// ---- libcurl alone: one handle, one connection, the buffer sizes that the store uses ----

struct Source {
  const std::vector<std::byte>& bytes;
  std::size_t sent = 0;
};

std::size_t give(char* out, std::size_t, std::size_t size, void* user) {
  Source& source = *static_cast<Source*>(user);
  const std::size_t length = std::min(size, source.bytes.size() - source.sent);
  std::memcpy(out, source.bytes.data() + source.sent, length);
  source.sent += length;
  return length;
}

std::size_t drop(char*, std::size_t, std::size_t size, void* user) {
  *static_cast<std::size_t*>(user) += size;
  return size;
}

class RawCurl {
 public:
  explicit RawCurl(std::string ca_file) : easy_(curl_easy_init()), ca_file_(std::move(ca_file)) {}
  ~RawCurl() { curl_easy_cleanup(easy_); }
  RawCurl(const RawCurl&) = delete;
  RawCurl& operator=(const RawCurl&) = delete;

  void put(const std::string& url, const std::vector<std::byte>& bytes) {
    Source source{bytes};
    prepare(url);
    curl_easy_setopt(easy_, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy_, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(bytes.size()));
    curl_easy_setopt(easy_, CURLOPT_READFUNCTION, &give);
    curl_easy_setopt(easy_, CURLOPT_READDATA, &source);
    perform();
  }

  void get(const std::string& url) {
    prepare(url);
    perform();
    if (received_ != kBytes) stop(fmt::format("libcurl received {} bytes", received_));
  }

 private:
  void prepare(const std::string& url) {
    curl_easy_reset(easy_);
    received_ = 0;
    static curl_slist* const headers = curl_slist_append(nullptr, "Expect:");
    curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy_, CURLOPT_PROXY, "");
    if (!ca_file_.empty()) curl_easy_setopt(easy_, CURLOPT_CAINFO, ca_file_.c_str());
    curl_easy_setopt(easy_, CURLOPT_BUFFERSIZE, 512L << 10);
    curl_easy_setopt(easy_, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
    curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &drop);
    curl_easy_setopt(easy_, CURLOPT_WRITEDATA, &received_);
  }

  void perform() {
    long status = 0;
    const CURLcode code = curl_easy_perform(easy_);
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || status != 200)
      stop(fmt::format("libcurl: {}, status {}", curl_easy_strerror(code), status));
  }

  CURL* easy_;
  std::string ca_file_;
  std::size_t received_ = 0;
};

// ---- The store ----

void put(ObjectStore& store, const std::vector<std::byte>& bytes) {
  auto writer = store.create("object", {}, bytes.size());
  if (!writer) stop(writer.error().message);
  for (std::span<const std::byte> rest = bytes; !rest.empty();) {
    const auto piece = rest.first(std::min<std::size_t>(rest.size(), 256 << 10));  // As a file is read.
    if (auto done = (*writer)->write(piece); !done) stop(done.error().message);
    rest = rest.subspan(piece.size());
  }
  if (auto stored = (*writer)->finish(); !stored) stop(stored.error().message);
}

void get(ObjectStore& store) {
  std::size_t received = 0;
  const auto info = store.read("object", 0, std::nullopt, [&](std::span<const std::byte> bytes) {
    received += bytes.size();
    return true;
  });
  if (!info) stop(info.error().message);
  if (received != kBytes) stop(fmt::format("the store delivered {} bytes", received));
}

/// Seconds of the clock and of the processors, one each a transfer.
struct Series {
  std::vector<double> wall;
  std::vector<double> cpu;
  void add(const std::function<void()>& transfer) {
    const double before = cpu_seconds();
    wall.push_back(seconds_of(transfer));
    cpu.push_back(cpu_seconds() - before);
  }
};

void compare(std::string_view what, const std::function<void()>& raw, const std::function<void()>& ours) {
  Series raw_series;
  Series our_series;
  std::vector<double> ratios;
  raw();
  ours();
  for (int pair = 0; pair < kPairs; ++pair) {
    raw_series.add(raw);
    our_series.add(ours);
    ratios.push_back(raw_series.wall.back() / our_series.wall.back());
  }
  const double mebibytes = static_cast<double>(kBytes) / (1 << 20);
  fmt::print("{} 64 MiB: libcurl alone {:.0f} MiB/s, object store {:.0f} MiB/s, median ratio {:.0f} %; ", what,
             mebibytes / median(raw_series.wall), mebibytes / median(our_series.wall), 100 * median(ratios));
  fmt::print("processor time {:.0f} ms and {:.0f} ms\n", 1e3 * median(raw_series.cpu), 1e3 * median(our_series.cpu));
}

double hash_mebibytes_per_second(const std::vector<std::byte>& bytes) {
  const double seconds = seconds_of([&] {
    Sha256 digest;
    digest.update(bytes);
    (void)digest.finish();  // Only its time is wanted.
  });
  return static_cast<double>(bytes.size()) / (1 << 20) / seconds;
}

int run(const std::string& url, const std::string& access_key, const std::string& secret_key,
        const std::string& ca_file) {
  const auto endpoint = s3::parse_endpoint(url);
  if (!endpoint) stop(endpoint.error().message);
  const s3::ClientConfig config{.endpoint = *endpoint, .style = s3::AddressStyle::kPath, .ca_file = ca_file};
  const auto keys = std::make_shared<s3::CredentialSource>([=](const std::string& name) -> std::optional<std::string> {
    if (name == "AWS_ACCESS_KEY_ID") return access_key;
    if (name == "AWS_SECRET_ACCESS_KEY") return secret_key;
    return std::nullopt;
  });
  s3::S3Client client(config, keys);
  const std::string bucket(kBucket);
  const auto made = client.call({.method = "PUT", .bucket = bucket, .key = ""});
  if (!made) stop(made.error().message);
  const auto put_url = client.presign("PUT", bucket, "objects/object", 3'600);
  const auto get_url = client.presign("GET", bucket, "objects/object", 3'600);
  const auto store = make_s3_object_store({.bucket = bucket}, config, keys);

  RawCurl raw(ca_file);
  const std::vector<std::byte> bytes(kBytes, std::byte{0x5a});
  fmt::print("SHA-256, one thread: {:.0f} MiB/s\n", hash_mebibytes_per_second(bytes));
  compare(
      "PUT", [&] { raw.put(*put_url, bytes); }, [&] { put(*store, bytes); });
  compare(
      "GET", [&] { raw.get(*get_url); }, [&] { get(*store); });
  return 0;
}

}  // namespace
}  // namespace chappe::bench

int main(int argc, char** argv) {
  if (argc >= 4) return chappe::bench::run(argv[1], argv[2], argv[3], argc > 4 ? argv[4] : "");
  const chappe::bench::LoopbackS3 server(chappe::bench::kBytes);
  return chappe::bench::run(server.endpoint(), "key", "secret", "");
}
