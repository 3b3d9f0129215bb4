// Inputs and outputs between a real directory and the local object store.
#include "worker/artifacts/staging.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "storage/digest/digest.h"
#include "storage/local/local_object_store.h"

namespace chappe::artifacts {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr AttemptId kAttempt{0x11};

class StagingDesk {
 public:
  StagingDesk() {
    std::string pattern = (fs::temp_directory_path() / "chappe-staging-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    store = *open_local_object_store((root_ / "store").string());
    fs::create_directories(work());
  }
  ~StagingDesk() { fs::remove_all(root_); }

  fs::path work() const { return root_ / "work"; }
  StagingPlace place() {
    return {*store, work().string(), stop, {.total = std::chrono::milliseconds(0)}};  // Nothing here comes back.
  }
  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories((work() / path).parent_path());
    std::ofstream(work() / path) << text;
  }
  std::string read(const fs::path& path) const {
    std::ifstream in(work() / path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  ResolvedOutput& output(const std::string& name, const std::string& path) {
    ResolvedOutput output;
    output.name = name;
    output.path = path;
    return task.outputs.emplace_back(output);
  }
  Staged<StagedOut> out() { return stage_out(place(), "p/", kAttempt, task); }
  /// Why it fails; "" when it does not.
  std::string complaint(Reason expected = Reason::kInvalidOutput) {
    const auto staged = out();
    if (staged) return "";
    EXPECT_EQ(staged.error().reason, expected);
    return staged.error().message;
  }
  /// Stages all outputs out and back in elsewhere: the directory "in".
  Staged<StagedIn> round_trip() {
    const auto staged = out();
    EXPECT_TRUE(staged.has_value());
    std::vector<ResolvedInput> inputs;
    for (const OutputObject& object : staged->outputs.objects) inputs.push_back(input_of(object));
    return stage_in(place(), inputs);
  }
  static ResolvedInput input_of(const OutputObject& object) {
    ResolvedInput input{.name = object.name, .path = "in/" + object.name};
    input.objects = {{.name = object.name,
                      .path = input.path,
                      .key = object.key,
                      .size = object.size,
                      .sha256 = object.sha256,
                      .packed = object.packed}};
    return input;
  }
  std::string stored(const std::string& key) {
    std::string text;
    (void)store->read(key, 0, std::nullopt, [&](std::span<const std::byte> bytes) {
      text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return true;
    });
    return text;
  }
  std::size_t objects() {
    std::size_t count = 0;
    (void)store->list("", [&](const ObjectInfo&) { return ++count, true; });
    return count;
  }

  std::unique_ptr<ObjectStore> store;
  std::atomic<bool> stop = false;
  ResolvedWork task;

 private:
  fs::path root_;
};

TEST(Staging, CarriesFilesThereAndBack) {
  StagingDesk desk;
  desk.write("out/a", "text\n");
  desk.write("out/empty", "");
  desk.output("a", "out/a");
  desk.output("b", "out/empty");
  ASSERT_TRUE(desk.round_trip().has_value());
  EXPECT_EQ(desk.read("in/a"), "text\n");
  EXPECT_EQ(desk.read("in/b"), "");
  EXPECT_TRUE(fs::exists(desk.work() / "in/b"));
}

TEST(Staging, RecordsSizeHashAndAttempt) {
  StagingDesk desk;
  desk.write("a", "text\n");
  desk.output("a", "a");
  const auto staged = desk.out();
  ASSERT_TRUE(staged.has_value());
  EXPECT_EQ(staged->bytes, 5U);
  const OutputObject& object = staged->outputs.objects.front();
  EXPECT_EQ(object.key, "p/a");
  EXPECT_EQ(object.sha256, to_hex(sha256("text\n")));
  EXPECT_EQ(desk.store->head("p/a")->size, 5U);
}

TEST(Staging, CarriesDirectoriesWithTheirLinksAndPrograms) {
  StagingDesk desk;
  desk.write("out/sub/deep/file", "deep");
  desk.write("out/run.sh", "#!/bin/sh\n");
  fs::permissions(desk.work() / "out/run.sh", fs::perms::owner_all);
  fs::create_symlink("sub/deep/file", desk.work() / "out/link");
  fs::create_directories(desk.work() / "out/empty");
  desk.output("tree", "out");
  ASSERT_TRUE(desk.round_trip().has_value());
  EXPECT_EQ(desk.read("in/tree/link"), "deep");
  EXPECT_EQ(fs::read_symlink(desk.work() / "in/tree/link"), "sub/deep/file");
  EXPECT_TRUE(fs::is_directory(desk.work() / "in/tree/empty"));
  EXPECT_EQ(fs::status(desk.work() / "in/tree/run.sh").permissions() & fs::perms::owner_exec, fs::perms::owner_exec);
  EXPECT_FALSE(fs::exists(desk.work() / "in/tree.chappe-packed"));
}

TEST(Staging, CarriesDirectoriesWhoseNamesAreNoUtf8) {
  StagingDesk desk;
  const std::string latin = "r\xe9sum\xe9.csv";
  const std::string utf8 = "r\xc3\xa9sum\xc3\xa9.csv";
  desk.write("out/" + latin, "latin");
  desk.write("out/" + utf8, "utf8");
  fs::create_symlink(latin, desk.work() / "out" / ("l\xe9" + std::string(150, 'n')));
  desk.output("d", "out");
  const auto bytes = desk.round_trip();
  ASSERT_TRUE(bytes.has_value()) << bytes.error().message;
  EXPECT_EQ(desk.read("in/d/" + latin), "latin");
  EXPECT_EQ(desk.read("in/d/" + utf8), "utf8");
  EXPECT_EQ(desk.read("in/d/l\xe9" + std::string(150, 'n')), "latin");
}

TEST(Staging, PacksEqualDirectoriesIntoEqualBytes) {
  StagingDesk desk;
  for (const std::string folder : {"one", "two"}) {
    // Made in another order, at another time.
    for (const std::string& name :
         folder == "one" ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{"b", "a"}) {
      desk.write(folder + "/" + name, "text of " + name);
    }
    desk.output(folder, folder);
  }
  fs::last_write_time(desk.work() / "two/a", fs::file_time_type::clock::now() - std::chrono::hours(5));
  const auto staged = desk.out();
  ASSERT_TRUE(staged.has_value());
  EXPECT_EQ(staged->outputs.objects[0].sha256, staged->outputs.objects[1].sha256);
}

TEST(Staging, PlacesACollectionInADirectoryEvenWhereItIsEmpty) {
  StagingDesk desk;
  ResolvedInput input{.name = "parts", .path = "in/parts", .collection = true};
  ASSERT_TRUE(stage_in(desk.place(), {input}).has_value());
  EXPECT_TRUE(fs::is_directory(desk.work() / "in/parts"));
}

TEST(Staging, GivesAFileTheModeThatItsReaderWants) {
  StagingDesk desk;
  desk.write("run.sh", "#!/bin/sh\n");
  desk.output("run", "run.sh");
  ResolvedInput input = StagingDesk::input_of(desk.out()->outputs.objects.front());
  input.mode = 0777;  // More than any umask leaves.
  ASSERT_TRUE(stage_in(desk.place(), {input}).has_value());
  EXPECT_EQ(fs::status(desk.work() / "in/run").permissions(), fs::perms(0777));
}

TEST(Staging, LeavesADirectoryPackedForWhoWantsItSo) {
  StagingDesk desk;
  desk.write("folder/a", "text");
  desk.output("folder", "folder");
  const auto staged = desk.out();
  ResolvedInput input = StagingDesk::input_of(staged->outputs.objects.front());
  input.unpack = Unpack::kNever;
  input.mode = 0600;
  ASSERT_TRUE(stage_in(desk.place(), {input}).has_value());
  EXPECT_EQ(desk.read("in/folder"), desk.stored(staged->outputs.objects.front().key));
  EXPECT_EQ(fs::status(desk.work() / "in/folder").permissions(), fs::perms(0600));
}

TEST(Staging, WantsTheContentThatWasAnnounced) {
  StagingDesk desk;
  desk.write("model", "text");
  ResolvedOutput& output = desk.output("model", "model");
  const std::string right = desk.out()->outputs.objects.front().sha256;
  discard(*desk.store, desk.out()->outputs);
  output.sha256 = std::string(64, 'a');
  EXPECT_EQ(desk.complaint(),
            fmt::format("store output 'model': its SHA-256 is {}, and must be {}", right, output.sha256));
  EXPECT_EQ(desk.objects(), 0U);
  output.sha256 = right;
  EXPECT_EQ(desk.complaint(), "");
}

TEST(Staging, SaysWhatATaskForgot) {
  StagingDesk desk;
  ResolvedOutput& output = desk.output("model", "m/model.bin");
  EXPECT_EQ(desk.complaint(), "output 'model': 'm/model.bin' is not there; the task must write it");
  output.required = false;
  EXPECT_EQ(desk.complaint(), "");
}

TEST(Staging, WantsContentWhereContentWasPromised) {
  StagingDesk desk;
  desk.write("file", "");
  desk.output("model", "file").non_empty = true;
  EXPECT_EQ(desk.complaint(), "output 'model': 'file' is empty");
  fs::create_directories(desk.work() / "folder");
  desk.task.outputs[0].path = "folder";
  EXPECT_EQ(desk.complaint(), "output 'model': 'folder' is empty");
  desk.write("folder/x", "");
  EXPECT_EQ(desk.complaint(), "");
}

TEST(Staging, WantsAFileWherePackingIsOff) {
  StagingDesk desk;
  fs::create_directories(desk.work() / "folder");
  desk.output("model", "folder").pack = Pack::kNone;
  EXPECT_THAT(desk.complaint(), HasSubstr("is a directory"));
}

TEST(Staging, RefusesOutputsThatLeadOutOfTheWorkDirectory) {
  StagingDesk desk;
  fs::create_symlink("/etc/passwd", desk.work() / "link");
  fs::create_symlink("..", desk.work() / "up");
  desk.output("stolen", "link");
  EXPECT_THAT(desk.complaint(), HasSubstr("leads out of the work directory"));
  desk.task.outputs[0].path = "up/store";
  EXPECT_THAT(desk.complaint(), HasSubstr("leads out of the work directory"));
  desk.task.outputs[0].path = "../store";
  EXPECT_THAT(desk.complaint(), HasSubstr("leads out of the work directory"));
  EXPECT_EQ(desk.objects(), 0U);
}

TEST(Staging, RefusesADirectoryWithALinkOutOfIt) {
  StagingDesk desk;
  desk.write("first", "uploaded before");
  fs::create_directories(desk.work() / "folder/sub");
  fs::create_symlink("../../secret", desk.work() / "folder/sub/link");
  desk.output("first", "first");
  desk.output("tree", "folder");
  EXPECT_THAT(desk.complaint(), HasSubstr("'sub/link' is a link out of the directory, to '../../secret'"));
  EXPECT_EQ(desk.objects(), 0U);
}

TEST(Staging, RefusesAPipeWithoutWaitingForIt) {
  StagingDesk desk;
  ASSERT_EQ(::mkfifo((desk.work() / "pipe").c_str(), 0600), 0);
  desk.output("pipe", "pipe");
  EXPECT_THAT(desk.complaint(), HasSubstr("neither a file nor a directory"));
  desk.task = {};
  desk.task.values = {{"v", "pipe", "", {}, false}};
  EXPECT_THAT(desk.complaint(), HasSubstr("is not a file"));
}

TEST(Staging, FollowsALinkThatStaysInside) {
  StagingDesk desk;
  desk.write("models/7", "seven");
  fs::create_symlink("models/7", desk.work() / "latest");
  desk.output("model", "latest");
  ASSERT_TRUE(desk.round_trip().has_value());
  EXPECT_EQ(desk.read("in/model"), "seven");
}

TEST(Staging, StopsWhenAnObjectIsNotWhatWasRecorded) {
  StagingDesk desk;
  desk.write("a", "text\n");
  desk.output("a", "a");
  ResolvedInput input = StagingDesk::input_of(desk.out()->outputs.objects.front());
  input.objects[0].sha256[5] ^= 1;
  auto staged = stage_in(desk.place(), {input});
  ASSERT_FALSE(staged.has_value());
  EXPECT_EQ(staged.error().reason, Reason::kArtifactIo);
  EXPECT_THAT(staged.error().message, HasSubstr("is not what was recorded"));
  input.objects[0].key = "gone";
  fs::remove_all(desk.work() / "in");
  staged = stage_in(desk.place(), {input});
  EXPECT_THAT(staged.error().message, testing::StartsWith("fetch input 'a': "));
}

TEST(Staging, UnpacksNothingThatWasNotVerified) {
  StagingDesk desk;
  desk.write("out/file", "text");
  desk.output("tree", "out");
  ResolvedInput input = StagingDesk::input_of(desk.out()->outputs.objects.front());
  input.objects[0].size += 1;
  ASSERT_FALSE(stage_in(desk.place(), {input}).has_value());
  EXPECT_FALSE(fs::exists(desk.work() / "in/tree"));
}

/// An archive that somebody else made, as an object.
ResolvedInput foreign_archive(StagingDesk& desk, const std::string& make) {
  const fs::path evil = desk.work() / "evil";
  fs::create_directories(evil);
  const std::string command =
      "cd '" + evil.string() + "' && " + make + " && tar -P --zstd -cf ../evil.tar.zst " + "$(cat names) 2>/dev/null";
  EXPECT_EQ(std::system(command.c_str()), 0);
  desk.task.outputs.clear();
  desk.output("evil", "evil.tar.zst");
  ResolvedInput input = StagingDesk::input_of(desk.out()->outputs.objects.front());
  input.objects[0].packed = true;
  return input;
}

TEST(Staging, RefusesArchivesThatLeadOut) {
  for (const std::string make : {"echo x > ../out.txt && echo ../out.txt > names", "echo \"$PWD/names\" > names",
                                 "ln -s /etc link && echo link > names", "ln -s ../.. up && echo up > names",
                                 "echo x > a && ln a b && echo a b > names", "mkfifo p && echo p > names"}) {
    StagingDesk desk;
    const auto staged = stage_in(desk.place(), {foreign_archive(desk, make)});
    ASSERT_FALSE(staged.has_value()) << make;
    EXPECT_THAT(staged.error().message, HasSubstr("in the archive")) << make;
  }
}

TEST(Staging, ReadsValuesAsTextAndAsJson) {
  StagingDesk desk;
  desk.write("text", "two words\n");
  desk.write("auc", " 0.83\n");
  desk.write("rows", "12");
  desk.write("m.json", R"({"a": {"b": [1, true]}})");
  desk.task.values = {{"t", "text", "", {}, false},
                      {"auc", "auc", "", {}, true},
                      {"rows", "rows", "", {}, true},
                      {"b", "m.json", "$.a.b[1]", {}, false},
                      {"none", "gone", "", Value("d"), false},
                      {"gone", "m.json", "$.x", Value(1), true}};
  const auto staged = desk.out();
  ASSERT_TRUE(staged.has_value());
  EXPECT_EQ(staged->outputs.values, (std::vector<NamedValue>{{"t", "two words", false},
                                                             {"auc", 0.83, true},
                                                             {"rows", 12, true},
                                                             {"b", true, false},
                                                             {"none", "d", false},
                                                             {"gone", 1, true}}));
}

TEST(Staging, SaysWhatIsWrongWithAValue) {
  StagingDesk desk;
  desk.write("word", "many");
  desk.write("broken.json", "{");
  desk.write("m.json", "{\"a\": 1}");
  const auto complaint = [&](const OutputValue& value) {
    desk.task.values = {value};
    return desk.complaint();
  };
  EXPECT_THAT(complaint({"v", "gone", "", {}, false}), HasSubstr("value 'v': open 'gone': No such file"));
  EXPECT_THAT(complaint({"v", "word", "", {}, true}), HasSubstr("a metric is a number, this is string: \"many\""));
  EXPECT_THAT(complaint({"v", "broken.json", "$.a", {}, false}), HasSubstr("line 1"));
  EXPECT_THAT(complaint({"v", "m.json", "$.b", {}, false}), HasSubstr("'m.json': there is no $.b"));
  EXPECT_THAT(complaint({"v", "../m.json", "", {}, false}), HasSubstr("leads out of the work directory"));
}

TEST(Staging, BoundsValuesAndTheirFiles) {
  StagingDesk desk;
  desk.task.values = {{"v", "v", "", {}, false}};
  desk.write("v", std::string(kValueMax - 2, 'x'));  // And two quotes, as JSON.
  EXPECT_EQ(desk.complaint(), "");
  desk.write("v", std::string(kValueMax - 1, 'x'));
  EXPECT_THAT(desk.complaint(), HasSubstr("it is larger than 8388608 bytes as JSON; make it an artifact"));
  desk.task.values = {{"v", "v", "$.a", {}, false}};
  desk.write("v", "{\"a\":1" + std::string(kValueFileMax - 7, ' ') + "}");
  EXPECT_EQ(desk.complaint(), "");
  desk.write("v", "{\"a\":1" + std::string(kValueFileMax - 6, ' ') + "}");
  EXPECT_THAT(desk.complaint(), HasSubstr("is larger than 8388608 bytes"));
}

TEST(Staging, AValueThatIsTooLargeToBeToldIsAnObjectOfTheAttempt) {
  StagingDesk desk;
  desk.write("fits", std::string(kInlineValueMax - 2, 'x'));
  desk.write("large", std::string(kInlineValueMax - 1, 'y'));
  desk.task.values = {{"fits", "fits", "", {}, false}, {"large", "large", "", {}, false}};
  const auto staged = desk.out();
  ASSERT_TRUE(staged.has_value()) << staged.error().message;
  ASSERT_EQ(staged->outputs.values.size(), 1U);
  EXPECT_EQ(staged->outputs.values[0].name, "fits");
  ASSERT_EQ(staged->outputs.objects.size(), 1U);
  const OutputObject& object = staged->outputs.objects[0];
  EXPECT_EQ(object.name, "values.large");
  EXPECT_EQ(object.key, "p/values.large");
  EXPECT_EQ(object.size, kInlineValueMax + 1);
  EXPECT_EQ(staged->bytes, object.size);
  const std::string json = '"' + std::string(kInlineValueMax - 1, 'y') + '"';
  EXPECT_EQ(desk.stored(object.key), json);
  EXPECT_EQ(object.sha256, to_hex(sha256(json)));
  discard(*desk.store, staged->outputs);
  EXPECT_EQ(desk.objects(), 0U);
}

/// An attempt's end is one message: what does not fit into it together goes the same way, but metrics never do.
TEST(Staging, ManyValuesFitIntoOneEnd) {
  StagingDesk desk;
  desk.write("text", std::string(60'000, 'x'));
  desk.write("number", "0.5");
  for (int i = 0; i < 8; ++i) desk.task.values.push_back({"t" + std::to_string(i), "text", "", {}, false});
  desk.task.values.push_back({"auc", "number", "", {}, true});
  const auto staged = desk.out();
  ASSERT_TRUE(staged.has_value()) << staged.error().message;
  EXPECT_EQ(staged->outputs.values.size(), 5U);
  EXPECT_EQ(staged->outputs.values.back(), (NamedValue{"auc", 0.5, true}));
  EXPECT_EQ(staged->outputs.objects.size(), 4U);
}

TEST(Staging, AValueThatIsNoUtf8IsStoredAsJsonAllTheSame) {
  StagingDesk desk;
  desk.write("v", std::string(kInlineValueMax, '\xff'));
  desk.task.values = {{"v", "v", "", {}, false}};
  const auto staged = desk.out();
  ASSERT_TRUE(staged.has_value()) << staged.error().message;
  std::string json = "\"";
  for (std::size_t i = 0; i < kInlineValueMax; ++i) json += "\xEF\xBF\xBD";  // U+FFFD
  EXPECT_TRUE(desk.stored("p/values.v") == json + '"');
}

TEST(Staging, NothingIsLeftOfLargeValuesWhereAnOutputCannotBeStored) {
  StagingDesk desk;
  desk.write("v", std::string(kInlineValueMax, 'x'));
  desk.write("a", "text");
  desk.task.values = {{"v", "v", "", {}, false}};
  desk.output("a", "a").asset_uri = "../out";
  EXPECT_FALSE(desk.out().has_value());
  EXPECT_EQ(desk.objects(), 0U);
}

TEST(Staging, PlacesTheTextOfASmallValue) {
  StagingDesk desk;
  ResolvedInput input{.name = "n", .path = "in/n.json"};
  input.objects = {{.name = "n", .path = input.path, .text = "[1,2]", .size = 5}};
  ASSERT_TRUE(stage_in(desk.place(), {input}).has_value());
  EXPECT_EQ(desk.read("in/n.json"), "[1,2]");
}

TEST(Staging, BoundsTheDepthOfADirectory) {
  StagingDesk desk;
  const auto nested = [](std::size_t depth) {
    fs::path path = "tree";
    for (std::size_t i = 0; i < depth; ++i) path /= "d";
    return path;
  };
  desk.output("tree", "tree");
  fs::create_directories(desk.work() / nested(kFolderDepthMax));
  EXPECT_EQ(desk.complaint(), "");
  fs::create_directories(desk.work() / nested(kFolderDepthMax + 1));
  EXPECT_THAT(desk.complaint(), HasSubstr("deeper than 128 directories"));
}

TEST(Staging, StagesAssetsAndTakesThemBackWhenNobodyWantsThem) {
  StagingDesk desk;
  desk.write("m", "model");
  desk.output("m", "m").asset_uri = "models/m";
  const auto staged = desk.out();
  ASSERT_TRUE(staged.has_value());
  const OutputObject& object = staged->outputs.objects.front();
  EXPECT_NE(object.upload, "");
  discard(*desk.store, staged->outputs);
  EXPECT_EQ(desk.objects(), 0U);
  const auto completed = desk.store->complete(object.upload);
  ASSERT_FALSE(completed.has_value());
  EXPECT_EQ(completed.error().code, ErrorCode::kNotFound);
}

TEST(Staging, StopsWhenItIsToldTo) {
  StagingDesk desk;
  desk.write("a", "text");
  desk.output("a", "a");
  const ResolvedInput input = StagingDesk::input_of(desk.out()->outputs.objects.front());
  desk.stop = true;
  EXPECT_EQ(desk.complaint(Reason::kArtifactIo), "store output 'a': stopped");
  const auto staged = stage_in(desk.place(), {input});
  ASSERT_FALSE(staged.has_value());
  EXPECT_THAT(staged.error().message, HasSubstr("stopped"));
}

TEST(Staging, NeedsLittleMemoryForLargeFiles) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own memory is many times the program's";
#endif
  StagingDesk desk;
  { std::ofstream(desk.work() / "large") << ""; }
  fs::resize_file(desk.work() / "large", std::uintmax_t{96} << 20);
  desk.write("folder/x", "");
  fs::resize_file(desk.work() / "folder/x", std::uintmax_t{96} << 20);
  desk.output("large", "large");
  desk.output("folder", "folder");
  rusage before{};
  ::getrusage(RUSAGE_SELF, &before);
  ASSERT_TRUE(desk.round_trip().has_value());
  rusage after{};
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 32 * 1024);
}

}  // namespace
}  // namespace chappe::artifacts
