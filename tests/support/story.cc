#include "tests/support/story.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "proto/json/json.h"
#include "tests/support/dag_builder.h"

namespace chappe::support {
namespace {

std::vector<std::string> split(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

Value json_of(const std::string& text) {
  auto value = parse_json(text);
  return value ? std::move(*value) : Value(text);
}

std::pair<std::string, std::string> cut(const std::string& text, char at) {
  const std::size_t place = text.find(at);
  if (place == std::string::npos) return {text, ""};
  return {text.substr(0, place), text.substr(place + 1)};
}

std::string last_part(const std::string& text, const std::string& mark) {
  const std::size_t place = text.find(mark);
  return place == std::string::npos ? text : text.substr(place + mark.size());
}

}  // namespace

// ---- Text ----

std::string Story::tell(const std::string& text) {
  std::istringstream in(text);
  std::string out;
  std::vector<std::string> commands;
  bool expectations = false;
  for (std::string line; std::getline(in, line);) {
    if (line == "----") {
      told_.clear();
      block(commands);
      commands.clear();
      expectations = true;
      out += "----\n";
      for (const std::string& each : told_) out += each + "\n";
    } else if (line.empty()) {
      expectations = false;
      out += "\n";
    } else if (!expectations) {
      out += line + "\n";
      if (!line.starts_with("#")) commands.push_back(line);
    }
  }
  if (!commands.empty()) complain("the story ends with commands that no ---- follows");
  return out;
}

void Story::block(const std::vector<std::string>& commands) {
  for (std::size_t i = 0; i < commands.size(); ++i) {
    line_ = commands[i];
    if (!line_.starts_with("dag ")) {
      command(line_);
      continue;
    }
    const std::string name = line_.substr(4);
    std::string yaml = fmt::format("name: {}\n", name);
    while (i + 1 < commands.size() && commands[i + 1].starts_with("  ")) yaml += commands[++i].substr(2) + "\n";
    define(name, yaml);
  }
}

void Story::complain(const std::string& what) const { ADD_FAILURE() << "'" << line_ << "': " << what; }

Story::Parsed Story::parse(const Words& words) {
  Parsed out;
  for (const std::string& word : words) {
    if (word.find('=') == std::string::npos) {
      out.plain.push_back(word);
    } else {
      out.named.push_back(cut(word, '='));
    }
  }
  return out;
}

std::string Story::Parsed::get(const std::string& name, const std::string& otherwise) const {
  for (const auto& [each, value] : named) {
    if (each == name) return value;
  }
  return otherwise;
}

EngineWorld& Story::world() {
  if (!world_) {
    world_.emplace(config_);
    text_.emplace(*world_);
  }
  return *world_;
}

void Story::tell(const Effects& effects) {
  for (std::string& line : text_->lines(effects)) told_.push_back(std::move(line));
}

// ---- Commands ----

void Story::command(const std::string& line) {
  const Words words = split(line);
  if (words[0] == "config") return configure(words);
  if (words[0] == "pass") return pass(words);
  if (words[0] == "silence") {
    world().worker(words.at(1)).silent = true;
    return;
  }
  if (words[0] == "crash") return crash(line);
  if (words[0] == "clock") {
    const Duration by = parse_duration(words.at(1).substr(1)).value();
    world().now.wall = world().now.wall + (words[1][0] == '-' ? -by : by);
    return step();
  }
  if (line == "restart") {
    world().restart();
    return step();
  }
  if (look(words)) return;
  step(events(words));
}

void Story::step(std::vector<Event> events) {
  tell(world().step(std::move(events)));
  while (world().has_dates_to_look_up() || world().has_past_to_look_up()) tell(world().step());
}

void Story::crash(const std::string& line) {
  const std::vector<Event> lost = events(split(last_part(line, ": ")));
  if (line.starts_with("crash before sending: ")) {
    world().die_before_sending(lost);
  } else {
    world().die_before_committing(lost);
  }
  step();
}

bool Story::look(const Words& words) {
  if (words[0] == "show") {
    show(words.at(1));
  } else if (words[0] == "explain") {
    explain(words.at(1));
  } else if (words[0] == "history") {
    history(words.at(1));
  } else if (words[0] == "questions") {
    questions();
  } else {
    return false;
  }
  return true;
}

std::vector<Event> Story::events(const Words& words) {
  const std::string& verb = words[0];
  if (verb == "submit") return {submit(words)};
  if (verb == "bring") return {bring(words)};
  if (verb == "told") {  // told ID sent|pending|given_up
    const NotificationState state = parse_notification_state(words.at(2)).value();
    return {NotificationsTold{{{.id = std::stoull(words.at(1)), .state = state, .tries = 1}}}};
  }
  if (verb == "looked") {
    const auto [run, instance] = cut(words.at(1), '/');
    return {world().looked(run_called(run), instance, words.back() == "gone")};
  }
  if (verb == "removed") return {ObjectsRemoved{world().to_remove.keys, {}}};
  if (verb == "refused") return {ObjectsRemoved{world().to_remove.keys, world().to_remove.keys}};
  if (verb == "worker") return {join(words)};
  if (verb == "pod") return {pod_seen(words)};
  if (verb == "restart") return {restart_worker(words.at(2))};
  if (verb == "heartbeat") return {heartbeat(words)};
  if (verb == "leaves") {
    WorkerSide& worker = world().worker(words.at(1));
    worker.held.clear();
    return {WorkerLeft{std::exchange(worker.connection, {})}};
  }
  if (verb == "bounds") return {bounds(words)};
  if (verb == "drains") return {WorkerDraining{world().worker(words.at(1)).connection}};
  if (verb == "look") return {look_report(words)};
  if (verb == "list") return {listing(words)};
  if (verb == "set") return {set_state(words)};
  if (verb == "answer") return {answer(words)};
  if (verb == "cancel" || verb == "alias") return by_person(words);
  if (verb == "retry") return {retry(words)};
  if (verb == "mark") return {mark(words)};
  if (verb == "backfill") return {backfill(words)};
  if (verb == "deploy") return {world().deployed(dags_.at(words.at(1)))};
  if (verb == "undeploy") return {DagRemoved{.ticket = {1}, .dag = words.at(1), .requested_by = "ann"}};
  if (verb == "pause" || verb == "unpause") {
    return {DagPauseRequested{.ticket = {1}, .dag = words.at(1), .paused = verb == "pause", .requested_by = "ann"}};
  }
  return {attempt_event(words)};
}

BoundsSet Story::bounds(const Words& words) {
  BoundsSet event;
  for (const auto& [kind, value] : parse(words).named) {
    const auto [name, count] = cut(value, ':');
    if (kind == "pool") {
      event.pools.emplace_back(name, std::stoul(count));
    } else {
      event.locks.emplace(name, std::stoul(count));
    }
  }
  return event;
}

void Story::configure(const Words& words) {
  for (const auto& [name, value] : parse(words).named) {
    if (name == "pool") {
      const auto [pool, slots] = cut(value, ':');
      config_.pools.emplace_back(pool, std::stoul(slots));
    } else if (name == "lease") {
      config_.lease = parse_duration(value).value();
    } else if (name == "executor") {
      config_.pods_by_default = value == "kubernetes";
    } else if (name == "pods") {
      config_.pods_max = static_cast<std::uint32_t>(std::stoul(value));
    } else {
      complain("what is " + name + "?");
    }
  }
}

void Story::define(const std::string& name, const std::string& yaml) {
  dags_[name] = dag_of(yaml);
  if (dags_[name] == nullptr) throw std::runtime_error(fmt::format("'{}' is no DAG", name));
}

Event Story::submit(const Words& words) {
  const Parsed said = parse(words);
  const DagPtr& dag = dags_.at(said.plain.at(1));
  const std::string& name = said.plain.at(3);
  ValueMap given;
  const bool no_cache = std::find(said.plain.begin(), said.plain.end(), "no_cache") != said.plain.end();
  for (const auto& [param, value] : said.named) {
    if (param != "key" && param != "logical_time") given.emplace_back(param, json_of(value));
  }
  auto params = resolve_params(dag->params, Value(given));
  if (!params) complain(params.error().message);
  RunRequested event = world().request(dag, std::move(*params), said.get("key", ""));
  event.ticket = {1};
  event.no_cache = no_cache;
  if (const std::string time = said.get("logical_time", ""); !time.empty()) {
    event.logical_time = calendar::parse_local_time(time, *calendar::Zone::utc()).value();
  }
  runs_[name] = event.id;
  text_->call(event.id, name);
  return event;
}

Event Story::bring(const Words& words) {
  for (const auto& [name, dag] : dags_) world().know(dag);
  const auto [run, instance] = cut(words.at(1), '/');
  DagBrought event = world().brought(run_called(run), instance);
  if (words.size() > 3) {
    runs_[words.at(3)] = event.run;
    text_->call(event.run, words.at(3));
  }
  return event;
}

Event Story::join(const Words& words) {
  const Parsed said = parse(words);
  WorkerSide& worker = world().worker(said.plain.at(1));
  WorkerHello& hello = worker.hello;
  for (const auto& [name, value] : said.named) {
    if (name == "cpu") hello.capacity.cpu_milli = static_cast<std::uint32_t>(std::stod(value) * 1000);
    if (name == "memory") hello.capacity.memory_bytes = std::stoull(value) << 30;
    if (name == "prefetch") hello.prefetch = static_cast<std::uint32_t>(std::stoul(value));
    if (name == "noops") hello.noop_depth = static_cast<std::uint32_t>(std::stoul(value));
    if (name == "taint") hello.taints.insert(value);
    if (name == "containers") hello.containers = value == "yes";
    if (name == "old" && value == "yes") hello.features = {};
    if (name.starts_with("label.")) hello.labels[name.substr(6)] = value;
    if (name == "in") hello.name = hello.host = value;
  }
  worker.silent = false;
  if (said.plain.size() == 6) return world().join_in_pod(worker, latest_attempt(said.plain.back()));
  return world().join(worker);
}

AttemptId Story::latest_attempt(const std::string& name) {
  const auto [run, instance] = cut(name, '/');
  return world().row(run_called(run), instance).attempt;
}

Event Story::pod_seen(const Words& words) {
  const std::vector<std::string> verbs = {"waiting", "started", "refused", "ended", "gone", "image"};
  const auto verb = std::find(verbs.begin(), verbs.end(), words.at(2));
  PodSeen seen{.attempt = latest_attempt(words.at(1))};
  seen.what = static_cast<PodSeen::What>(verb - verbs.begin());
  std::size_t said = 3;
  if (seen.what == PodSeen::What::kEnded) seen.reason = parse_reason(words.at(said++)).value();
  seen.message = fmt::format(
      "{}", fmt::join(words.begin() + static_cast<std::ptrdiff_t>(std::min(said, words.size())), words.end(), " "));
  return seen;
}

Event Story::restart_worker(const std::string& name) {
  WorkerSide& worker = world().worker(name);
  worker.held.clear();
  worker.hello.incarnation[0] = static_cast<char>(worker.hello.incarnation[0] + 1);
  return world().join(worker);
}

RunId Story::run_called(const std::string& name) const {
  const auto found = runs_.find(name);
  const auto& rows = world_->store().tables().runs;
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {  // Of several with one name the newest is meant.
    if (found == runs_.end() && text_->run(row->first) == name) return row->second.id;
  }
  if (found == runs_.end()) complain("there is no run " + name);
  return found == runs_.end() ? RunId{} : found->second;
}

const Assignment& Story::attempt_of(const Words& words) {
  const auto [run, instance] = cut(words.at(1), '/');
  const RunId id = run_called(run);
  for (const std::string& word : words) {
    if (word[0] != '#') continue;
    for (const Assignment& each : world().assigned()) {
      const bool same = each.run->id == id && world().instances(each.key.run).name_of(each.key.index) == instance;
      if (same && fmt::format("#{}", each.attempt_no) == word) return each;
    }
  }
  const Assignment* newest = world().newest(id, instance);
  if (newest == nullptr) throw std::runtime_error(fmt::format("'{}': no worker was ever told of it", line_));
  return *newest;
}

Event Story::attempt_event(const Words& words) {
  const std::string& verb = words[0];
  const Assignment& what = attempt_of(words);
  const HeldAttempt held{what.key, what.attempt};
  if (verb == "published") {
    AssetsPublished event{what.key, what.attempt, {}};
    for (const ArtifactRow& row : world().store().tables().artifacts) {
      if (row.attempt != what.attempt) continue;
      if (row.asset) event.assets.push_back({.id = row.asset, .etag = "etag"});
      const auto value = value_in_object(row.object.name);
      if (value) event.values.push_back({.name = *value, .value = world().value_objects.at(row.object.key)});
    }
    return event;
  }
  if (verb == "publish_failed") return PublishFailed{what.key, what.attempt, "the object store said no"};
  const auto from = std::find(words.begin(), words.end(), "from");
  WorkerSide* worker = from == words.end() ? world().holder_of(what.attempt) : &world().worker(*(from + 1));
  if (worker == nullptr) worker = &world().worker(text_->worker(world().store().tables().tasks.at(what.key).worker));
  if (verb == "start") {
    auto started = std::get<AttemptStarted>(world().started(*worker, what));
    const auto [host, port] = cut(parse(words).get("at", ":0"), ':');  // Of a service that is ready.
    started.host = host;
    started.port = static_cast<std::uint16_t>(std::stoul(port));
    return started;
  }
  if (verb == "finish") return finish(parse(words), *worker, what);
  if (verb != "returned") complain("what is " + verb + "?");
  const ConnectionId connection = worker->connection;
  worker->held.erase(what.attempt);
  return AttemptReturned{connection, held};
}

Event Story::finish(const Parsed& said, WorkerSide& worker, const Assignment& what) {
  AttemptEnd end;
  AttemptOutputs outputs;
  const std::string key = attempt_prefix(what.run->dag, what.run->id, what.task, what.map_key, what.attempt);
  for (const auto& [name, value] : said.named) {
    if (name == "exit") {
      end.reason = Reason::kExitCode;
      end.exit_code = std::stoi(value);
    } else if (name == "reason") {
      end.reason = parse_reason(value).value();
    } else if (name == "message") {
      end.message = value;
    } else if (name.starts_with("content.")) {
      continue;
    } else if (name.starts_with("value.")) {
      outputs.values.push_back({.name = name.substr(6), .value = json_of(value)});
    } else if (name == "read") {
      InputObject read{.name = value, .path = "", .size = kObjectSize, .sha256 = std::string(64, 'a')};
      read.s3 = "s3://bucket/" + value;
      read.etag = "e1";
      outputs.read.push_back(std::move(read));
    } else if (name.starts_with("large.")) {
      OutputObject object{.name = value_object_name(name.substr(6)), .size = kObjectSize};
      object.key = key + object.name;
      object.sha256 = std::string(64, 'b');
      world().value_objects[object.key] = json_of(value);
      outputs.objects.push_back(std::move(object));
    } else {
      const auto [artifact, uri] = cut(value, ':');
      OutputObject object{.name = artifact, .key = key + artifact, .size = kObjectSize, .sha256 = std::string(64, 'a')};
      if (const std::string content = said.get("content." + artifact, ""); !content.empty()) {
        object.sha256 = std::string(64, content.front());
      }
      if (name == "asset") {
        object.asset_uri = uri;
        for (const ResolvedOutput& output : what.work->outputs) {
          if (output.name == artifact) object.asset_name = output.asset_name;
        }
        object.upload = "upload of " + object.key;
      }
      outputs.objects.push_back(std::move(object));
    }
  }
  return world().finished(worker, what, std::move(end), std::move(outputs));
}

Event Story::heartbeat(const Words& words) {
  WorkerSide& worker = world().worker(words.at(1));
  if (words.size() == 4 && words[2] == "without") worker.held.erase(attempt_of({words[2], words[3]}).attempt);
  return world().heartbeat(worker);
}

std::vector<Event> Story::by_person(const Words& words) {
  if (words[0] == "alias") {
    const auto [model, alias] = cut(words.at(1), '@');
    AliasMoveRequested event{.ticket = {1}, .model = model, .alias = alias, .requested_by = "ann"};
    const auto& versions = world().store().tables().asset_versions;
    const AssetVersionId id{std::stoull(words.at(2).substr(1))};
    if (versions.contains(id)) event.version = versions.at(id);
    return {event};
  }
  return {CancelRequested{.ticket = {1}, .run = run_called(words.at(1)), .requested_by = "ann"}};
}

Event Story::retry(const Words& words) {
  const Parsed said = parse(words);
  RetryRequested event = world().retry(run_called(said.plain.at(1)), Words(said.plain.begin() + 2, said.plain.end()));
  event.ticket = {1};
  event.reach.upstream = said.get("upstream", "0") == "1";
  event.reach.downstream = said.get("downstream", "1") == "1";
  event.reach.only_failed = said.get("only_failed", "0") == "1";
  return event;
}

Event Story::mark(const Words& words) {
  const auto [run, task] = cut(words.at(1), '/');
  return world().mark(run_called(run), task, parse_task_state(words.at(2)).value());
}

Event Story::backfill(const Words& words) {
  const Parsed said = parse(words);
  const std::string& what = said.plain.at(1);
  if (said.plain.size() == 3) {
    BackfillChangeRequested event{.ticket = {1}, .requested_by = "ann"};
    event.backfill = {static_cast<std::uint32_t>(std::stoul(said.plain[2]))};
    event.state = what == "pause"    ? BackfillState::kPaused
                  : what == "resume" ? BackfillState::kRunning
                                     : BackfillState::kCancelled;
    return event;
  }
  const auto time = [&](const char* name) {
    return calendar::parse_local_time(said.get(name, ""), *calendar::Zone::utc()).value();
  };
  BackfillSpec spec{.from = time("from"), .to = time("to")};
  spec.reprocess = parse_reprocess(said.get("reprocess", "none")).value();
  spec.newest_first = said.get("order", "oldest") == "newest";
  spec.max_active = static_cast<std::uint32_t>(std::stoul(said.get("max", "1")));
  std::istringstream tasks(said.get("tasks", ""));
  for (std::string task; std::getline(tasks, task, ',');) spec.tasks.push_back(task);
  return world().backfill(dags_.at(what), std::move(spec));
}

Event Story::look_report(const Words& words) const {
  const std::string& name = words.at(1);
  LookReported event;
  event.target.name = name;
  if (name.starts_with('/')) event.target.kind = LookTarget::Kind::kFile;
  if (name.ends_with("/*")) event.target.kind = LookTarget::Kind::kObjects;
  if (name.starts_with("http")) {
    event.target.kind = LookTarget::Kind::kHttp;
    event.target.status = 200;
  }
  if (words.at(2) == "there") event.what = LookReported::What::kThere;
  if (words.at(2) == "refused") event.what = LookReported::What::kRefused;
  for (std::size_t i = 3; i < words.size(); ++i) {
    if (event.what == LookReported::What::kThere) {
      const auto [field, value] = cut(words[i], '=');
      event.found.emplace_back(field, json_of(value));
    } else {
      event.message += (event.message.empty() ? "" : " ") + words[i];
    }
  }
  return event;
}

/// "set dag:NAME STATE JSON [expect=VERSION]"
Event Story::set_state(const Words& words) const {
  const Parsed said = parse(words);
  StateSetRequested event{.ticket = {1},
                          .scope = words.at(1),
                          .name = words.at(2),
                          .value = json_of(words.at(3)),
                          .expect_version = {},
                          .requested_by = "ann",
                          .source = ""};
  if (const std::string version = said.get("expect", ""); !version.empty()) event.expect_version = std::stoull(version);
  return event;
}

/// "list landing/ a=1 b=2": all objects, and which version of each; "list landing/ fails WHY".
Event Story::listing(const Words& words) const {
  LookReported event{.target = {LookTarget::Kind::kListing, words.at(1), 0}, .found = {}, .message = ""};
  if (words.size() > 2 && words[2] == "fails") {
    for (std::size_t i = 3; i < words.size(); ++i) event.message += (event.message.empty() ? "" : " ") + words[i];
    return event;
  }
  event.what = LookReported::What::kListed;
  for (std::size_t i = 2; i < words.size(); ++i) {
    const auto [key, etag] = cut(words[i], '=');
    event.objects.push_back({.key = key, .uri = "s3://b/" + key, .etag = etag, .version = "", .modified_at = {}});
  }
  return event;
}

Event Story::answer(const Words& words) const {
  const Parsed said = parse(words);
  const auto [run, instance] = cut(words.at(1), '/');
  AnswerRequested event{.ticket = {1}, .run = run_called(run), .task = instance, .requested_by = "ann"};
  for (std::size_t i = 2; i + 1 < said.plain.size(); ++i) {
    if (said.plain[i] == "by") event.requested_by = said.plain[i + 1];
  }
  ValueMap answers;
  for (const auto& [field, value] : said.named) answers.emplace_back(field, json_of(value));
  event.answers = Value(std::move(answers));
  return event;
}

void Story::questions() {
  constexpr std::size_t kMost = 20;
  const Value asked = world().engine().questions(kMost);
  for (const Value& one : *asked.find("items")->as_list()) {
    told_.push_back(fmt::format("{} asks: {} {}", to_text(*one.find("task")), to_text(*one.find("prompt")),
                                to_json(*one.find("form"))));
  }
}

void Story::pass(const Words& words) {
  world().pass(parse_duration(words.at(1)).value(), [&](const Effects& effects) { tell(effects); });
}

// ---- What there is ----

void Story::show(const std::string& run) {
  const RunRow row = world().row(run_called(run));
  std::string text = fmt::format("{} {}:", run, name_of(row.state));
  const Instances& instances = world().instances(row.seq);
  for (std::uint32_t i = 0; i < instances.size(); ++i) {
    const auto task = world().store().tables().tasks.find({row.seq, i});
    const TaskState state = task == world().store().tables().tasks.end() ? TaskState::kNone : task->second.state;
    text += fmt::format(" {}={}", instances.name_of(i), name_of(state));
  }
  told_.push_back(std::move(text));
}

void Story::explain(const std::string& run) {
  auto answer = world().engine().explain(run_called(run), "", 20, world().now);
  if (!answer) return told_.push_back(answer.error().message);
  if (const Value* why = answer->find("waits_for")) told_.push_back(fmt::format("{} waits for {}", run, to_text(*why)));
  for (const Value& task : *answer->find("tasks")->as_list()) {
    told_.push_back(fmt::format("{} is {}, waits for {}", to_text(*task.find("task")), to_text(*task.find("state")),
                                to_text(*task.find("waits_for"))));
  }
}

void Story::history(const std::string& name) {
  const auto [run, instance] = cut(name, '/');
  const InstanceKey key = world().row(run_called(run), instance).key;
  for (const AttemptRow& row : world().store().tables().attempts) {
    if (row.key != key) continue;
    told_.push_back(fmt::format("{} #{} on {} {}", name, row.attempt_no,
                                row.worker ? text_->worker(row.worker) : "no worker",
                                row.end.reason == Reason::kNone ? "success" : name_of(row.end.reason)));
  }
}

}  // namespace chappe::support
