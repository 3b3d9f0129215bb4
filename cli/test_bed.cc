#include "cli/test_bed.h"

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string_view>
#include <vector>

#include "cli/follow.h"
#include "storage/open/object_stores.h"

namespace chappe::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr timespec kTestLook{.tv_sec = 0, .tv_nsec = 20'000'000};
constexpr std::size_t kLogLinesShown = 10;
constexpr std::size_t kWaitsShown = 10;

Result<void> put_file(const fs::path& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (out.fail()) return fail(ErrorCode::kUnavailable, fmt::format("cannot write {}", path.string()));
  return {};
}

Result<fs::path> make_directory() {
  std::error_code failed;
  const fs::path beneath = fs::temp_directory_path(failed);
  std::string name = ((failed ? fs::path("/tmp") : beneath) / "chappe-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    return fail(ErrorCode::kPermissionDenied, fmt::format("cannot make a directory such as {}", name));
  }
  return fs::path(name);
}

/// SIGINT or SIGTERM, or 0 after a short rest.
int rest_or_interrupt() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  const int number = ::sigtimedwait(&set, nullptr, &kTestLook);
  return number > 0 ? number : 0;
}

bool has_ended(const Value& run) {
  const auto state = parse_run_state(text_of(run, "state"));
  return state && is_final(*state);
}

}  // namespace

Result<std::unique_ptr<TestBed>> TestBed::make(const DagFile& file, const DagTest& test, bool keep) {
  auto directory = make_directory();
  if (!directory) return fail(directory.error());
  std::unique_ptr<TestBed> bed(new TestBed(file, test, *std::move(directory), keep));
  if (auto laid_out = bed->lay_out(); !laid_out) return fail(laid_out.error());
  return bed;
}

TestBed::TestBed(const DagFile& file, const DagTest& test, fs::path directory, bool keep)
    : file_(file), test_(test), directory_(std::move(directory)), keep_(keep) {
  files_.folder = (directory_ / "fixtures").string();
  session_.server.state_dir = (directory_ / "state").string();
  session_.object_store = (directory_ / "objects").string();
}

TestBed::~TestBed() {
  if (server_ != nullptr) server_->leave_at_once();
  server_.reset();  // Waits until nobody writes there any more.
  std::error_code ignored;
  if (!keep_) fs::remove_all(directory_, ignored);
}

// ---- Fixtures ----

Result<void> TestBed::lay_out() {
  std::error_code failed;
  fs::create_directories(files_.folder, failed);
  // Its daemons read this file, and no other.
  if (auto written = put_file(directory_ / "chappe.yaml", "{}\n"); !written) return written;
  for (std::size_t i = 0; i < test_.tasks.size(); ++i) {
    const fs::path values = files_.values(i);
    fs::create_directories(values.parent_path(), failed);
    if (auto written = put_file(values, to_json(test_.tasks[i].values)); !written) return written;
    for (std::size_t k = 0; k < test_.tasks[i].artifacts.size(); ++k) {
      if (auto done = lay_out(test_.tasks[i].artifacts[k].second, files_.artifact(i, k)); !done) return done;
    }
  }
  for (std::size_t i = 0; i < test_.assets.size(); ++i) {
    if (auto done = lay_out(test_.assets[i].content, files_.asset(i)); !done) return done;
  }
  return {};
}

Result<void> TestBed::lay_out(const TestContent& content, const std::string& path) {
  if (content.as == TestContent::As::kText) return put_file(path, content.text);
  if (content.as == TestContent::As::kJson) return put_file(path, to_json(content.json));
  const fs::path from = fs::path(file_.file).parent_path() / content.text;
  std::error_code failed;
  fs::copy(from, path, fs::copy_options::recursive, failed);
  if (!failed) return {};
  return fail(ErrorCode::kNotFound, fmt::format("{}:{}:{}: {}: {}", file_.file, content.place.line,
                                                content.place.column, from.string(), failed.message()));
}

/// Each is published by a run, as assets are; an alias is moved by a person.
Result<void> TestBed::publish_assets(ApiClient& client) {
  const std::string text = dag_of_assets(test_, files_);
  if (text.empty()) return {};
  const auto run = submit(client, text, {});
  if (!run) return fail(run.error());
  const auto ended = wait_for_end(client, *run, Clock::now() + test_.timeout);
  if (!ended) return fail(ended.error());
  if (text_of(*ended, "state") != "success") {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("the assets of the fixtures could not be published: {}", text_of(*ended, "message")));
  }
  for (const AssetFixture& fixture : test_.assets) {
    if (fixture.alias.empty()) continue;
    const std::string uri = uri_under_test(fixture.asset);
    const auto moved =
        client.send("PUT", "/aliases/" + segment(uri) + "/" + segment(fixture.alias), ValueMap{{"version", uri}});
    if (!moved) return fail(moved.error());
  }
  return {};
}

// ---- The run ----

Result<TestedRun> TestBed::run() {
  (void)::setenv("CHAPPE_CONFIG", (directory_ / "chappe.yaml").c_str(), 1);
  server_ = std::make_unique<OwnServer>(session_, 1);
  auto client = server_->find_or_start();
  if (!client) return fail(client.error());
  if (auto published = publish_assets(*client); !published) return fail(published.error());
  const auto run = submit(*client, dag_under_test(file_.text, *file_.dag, test_, files_), test_.params);
  if (!run) return fail(run.error());
  run_id_ = *run;
  TestedRun out;
  auto ended = wait_for_end(*client, *run, Clock::now() + test_.timeout);
  if (!ended) return fail(ended.error());
  out.run = *std::move(ended);
  if (auto read = read_results(*client, *run, out); !read) return fail(read.error());
  return out;
}

Result<std::string> TestBed::submit(ApiClient& client, const std::string& text, const ValueMap& params) {
  ValueMap body{{"dag_yaml", text}, {"file", file_.file}, {"params", params}, {"no_cache", true}};
  if (test_.logical_time.is_set()) body.emplace_back("logical_time", to_iso8601(test_.logical_time));
  const auto answer = client.send("POST", "/runs", body);
  if (answer) return text_of(*answer, "id");
  std::string told = answer.error().message;
  for (const Value& one : list_of(client.problem(), "diagnostics")) told += "\n" + text_of(one, "text");
  return fail(answer.error().code, told);
}

/// The run as it was when it ended, or when the time was up.
Result<Value> TestBed::wait_for_end(ApiClient& client, const std::string& run, Clock::time_point deadline) {
  for (;;) {
    auto seen = client.get("/runs/" + segment(run));
    if (!seen || has_ended(*seen) || Clock::now() > deadline) return seen;
    interrupted_ = rest_or_interrupt();
    if (interrupted_ != 0) return fail(ErrorCode::kUnavailable, "interrupted");
  }
}

Result<void> TestBed::read_results(ApiClient& client, const std::string& run, TestedRun& out) {
  const std::string path = "/runs/" + segment(run);
  for (std::string after = "0"; !after.empty();) {
    const auto page = client.get(path + "/tasks?limit=10000&after=" + after);
    if (!page) return fail(page.error());
    for (const Value& task : list_of(*page, "items")) out.tasks.push_back(task);
    after = text_of(*page, "next");
  }
  const auto outputs = client.get(path + "/outputs");
  if (!outputs) return fail(outputs.error());
  out.values = list_of(*outputs, "values");
  out.outputs = list_of(*outputs, "artifacts");
  out.timed_out = !has_ended(out.run);
  const auto told = out.timed_out ? client.get(path + "/explain") : Result<Value>(Value());
  if (!told) return fail(told.error());
  const ValueList& waiting = list_of(*told, "tasks");
  for (std::size_t i = 0; i < std::min(waiting.size(), kWaitsShown); ++i) {
    const std::string why = text_of(waiting[i], "waits_for");
    out.waits += fmt::format("{}{} is {}{}", out.waits.empty() ? "" : "; ", text_of(waiting[i], "task"),
                             text_of(waiting[i], "state"), why.empty() ? "" : ", waits for " + why);
  }
  return {};
}

// ---- Afterwards ----

Result<std::string> TestBed::read_object(const std::string& key) const {
  const auto store = open_object_store(session_.object_store);
  if (!store) return fail(store.error());
  std::string out;
  const auto read = (*store)->read(key, 0, std::nullopt, [&](std::span<const std::byte> bytes) {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return out.size() <= kContentMax;
  });
  if (!read) return fail(read.error());
  if (out.size() > kContentMax) return fail(ErrorCode::kInvalidInput, "it is too large to be compared");
  return out;
}

std::string TestBed::end_of_log(const std::string& task) {
  auto client = ApiClient::find(session_.server);
  if (!client) return "";
  const auto log = client->get_text("/runs/" + segment(run_id_) + "/tasks/" + segment(task) + "/attempts/latest/log");
  if (!log) return "";
  std::size_t begin = log->size();
  for (std::size_t lines = 0; begin > 0 && lines <= kLogLinesShown; ++lines) {
    begin = log->rfind('\n', begin - 1);
    if (begin == std::string::npos) begin = 0;
  }
  return log->substr(begin == 0 ? 0 : begin + 1);
}

void forget_settings() {
  std::vector<std::string> names;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::string_view name = text.substr(0, text.find('='));
    if (name.starts_with("CHAPPE_") && name != "CHAPPE_CONTAINER_SOCKET") names.emplace_back(name);
  }
  for (const std::string& name : names) (void)::unsetenv(name.c_str());
}

}  // namespace chappe::cli
