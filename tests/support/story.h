/// \file
/// Stories of the engine as text: commands, `----`, what came of them, an empty line.
///
/// Commands (INSTANCE is "r1/train[a]"; an attempt of it is its newest, or the one of `#N`):
///
///   dag NAME                              then the DAG file, each line indented by two spaces
///   config pool=NAME:SLOTS lease=60s pods=2 executor=kubernetes      before everything else
///   submit DAG as RUN [key=REQUEST] [logical_time=TIME] [PARAM=JSON ...]
///   worker NAME [cpu=2] [memory=8] [prefetch=0] [noops=1024] [in=PLACE] [label.NAME=VALUE] [taint=NAME]
///   [containers=yes] [old=yes]            old: it knows none of engine/model/features.h
///                                         joins; again: the same process, reconnected
///   worker NAME in pod of INSTANCE        joins with the key of that pod
///   pod INSTANCE waiting WORDS | started | refused WORDS | ended REASON WORDS | gone WORDS | image NAME
///   restart worker NAME                   another process in the same place
///   start INSTANCE [#N] [from WORKER]
///   finish INSTANCE [#N] [exit=1 | reason=NAME] [value.NAME=JSON ...] [large.NAME=JSON ...] [out=NAME ...]
///   [asset=NAME:URI ...] bring INSTANCE [as RUN]               the DAG that it starts a run of was read from the store
///   returned INSTANCE | published INSTANCE | publish_failed INSTANCE
///   heartbeat WORKER [without INSTANCE] | silence WORKER | leaves WORKER | drains WORKER
///   pass 10s [stopped]                    time goes by; the workers that are not silent send heartbeats by themselves
///   restart                               the scheduler dies and comes back; the next line is what its first step does
///   crash before sending: COMMAND | crash before committing: COMMAND
///   cancel RUN | alias MODEL@ALIAS VERSION
///   retry RUN [TASK ...] [upstream=1] [downstream=0] [only_failed=1]
///   mark RUN/TASK STATE                   a task, or an instance of it
///   backfill DAG from=TIME to=TIME [reprocess=failed] [order=newest] [max=2] [tasks=a,b]
///   backfill pause ID | backfill resume ID | backfill cancel ID
///   deploy DAG | undeploy DAG | pause DAG | unpause DAG
///                                         runs that a schedule makes are called DAG@2027-01-15T08:01
///   bounds [pool=NAME:SLOTS ...] [lock=NAME:PLACES ...]     as the configuration says now
///   clock +2h | clock -2h                 the wall clock is set, and the engine looks at it
///   look NAME there [NAME=JSON ...] | look NAME not_yet WORDS | look NAME refused WORDS     at a key, /path or URL,
///                                         or a list: "in/*"
///   list NAME KEY=ETAG ... | list NAME fails WORDS     all objects that an S3 trigger is about
///   set SCOPE STATE JSON [expect=VERSION]              a value that outlives runs
///   answer INSTANCE [by WHO] [FIELD=JSON ...]
///   questions                             what people are asked
///   show RUN                              states of the run and all its instances
///   explain RUN                           what its instances wait for
///   history INSTANCE                      earlier attempts
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/effects_text.h"
#include "tests/support/engine_world.h"

namespace chappe::support {

/// Tells one story. A mistake in it fails the test.
class Story {
 public:
  /// The text with what really came out in place of what was expected.
  std::string tell(const std::string& text);

 private:
  using Words = std::vector<std::string>;
  struct Parsed {
    Words plain;
    std::vector<std::pair<std::string, std::string>> named;
    std::string get(const std::string& name, const std::string& otherwise) const;
  };
  static Parsed parse(const Words& words);

  void block(const std::vector<std::string>& commands);
  void command(const std::string& line);
  std::vector<Event> events(const Words& words);
  static BoundsSet bounds(const Words& words);
  bool look(const Words& words);
  void crash(const std::string& line);

  void configure(const Words& words);
  void define(const std::string& name, const std::string& yaml);
  Event submit(const Words& words);
  Event bring(const Words& words);
  Event join(const Words& words);
  Event restart_worker(const std::string& name);
  Event pod_seen(const Words& words);
  AttemptId latest_attempt(const std::string& name);
  Event attempt_event(const Words& words);
  Event finish(const Parsed& said, WorkerSide& worker, const Assignment& what);
  Event heartbeat(const Words& words);
  std::vector<Event> by_person(const Words& words);
  Event retry(const Words& words);
  Event mark(const Words& words);
  Event backfill(const Words& words);
  Event look_report(const Words& words) const;
  Event listing(const Words& words) const;
  Event set_state(const Words& words) const;
  Event answer(const Words& words) const;
  void questions();
  void pass(const Words& words);
  void show(const std::string& run);
  void explain(const std::string& run);
  void history(const std::string& name);

  EngineWorld& world();
  const Assignment& attempt_of(const Words& words);
  RunId run_called(const std::string& name) const;
  void tell(const Effects& effects);
  /// A step, and what follows from it at once: what backfills and those that depend on their past look up.
  void step(std::vector<Event> events = {});
  void complain(const std::string& what) const;

  EngineConfig config_;
  std::optional<EngineWorld> world_;
  std::optional<EffectsText> text_;
  std::map<std::string, DagPtr> dags_;
  std::map<std::string, RunId> runs_;
  std::vector<std::string> told_;
  std::string line_;  ///< The command under way.
};

}  // namespace chappe::support
