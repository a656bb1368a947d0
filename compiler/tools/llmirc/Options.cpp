//===- Options.cpp - The command line of llmirc ---------------------------===//
//
// Parsed by hand: the option library of LLVM would add its own options to ours, and exits by
// itself.
//
//===----------------------------------------------------------------------===//
#include "Options.h"

#include "llmir/Plan/PlanBuilder.h"
#include "quant/quant_layout.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

#include <optional>

using namespace llvm;

namespace llmir::compiler {
namespace {

constexpr uint32_t maxContext = 1u << 24;
constexpr uint32_t maxChunk = 1u << 20;

Error usageError(const Twine &message) {
  return createStringError(inconvertibleErrorCode(), message + " (see llmirc --help)");
}

/// Of one processor, or all: "v2, v3, v4-vnni".
std::string levelNames(StringRef processor = {}) {
  SmallVector<StringRef> names;
  for (const CpuLevel &level : cpuLevels())
    if (processor.empty() || level.processor == processor)
      names.push_back(level.name);
  return join(names, ", ");
}

SmallVector<StringRef> processorNames() {
  SmallVector<StringRef> names;
  for (const CpuLevel &level : cpuLevels())
    if (!is_contained(names, level.processor))
      names.push_back(level.processor);
  return names;
}

/// Walks over the arguments; values come as "--name value" or "--name=value".
class Arguments {
public:
  explicit Arguments(ArrayRef<StringRef> arguments) : rest(arguments) {}

  bool next() {
    if (rest.empty())
      return false;
    current = rest.front();
    rest = rest.drop_front();
    std::tie(optionName, inlineValue) = current.split('=');
    hasInlineValue = current.contains('=');
    return true;
  }

  StringRef text() const { return current; }
  StringRef name() const { return current.starts_with("--") ? optionName : current; }

  /// Whether the option is a plain switch here; "--quiet=1" is not.
  bool isSwitch(StringRef option) const { return current == option; }

  Error value(std::string &out) {
    if (current.starts_with("--") && hasInlineValue) {
      out = inlineValue.str();
    } else {
      if (rest.empty())
        return usageError("option '" + current + "' needs a value");
      out = rest.front().str();
      rest = rest.drop_front();
    }
    if (out.empty())
      return usageError("option '" + name() + "' needs a value");
    return Error::success();
  }

private:
  ArrayRef<StringRef> rest;
  StringRef current, optionName, inlineValue;
  bool hasInlineValue = false;
};

template <typename Names> Error oneOf(StringRef option, StringRef value, const Names &known) {
  if (is_contained(known, value))
    return Error::success();
  return usageError("option '" + option + "': unknown value '" + value +
                    "', known: " + join(known, ", "));
}

/// The levels named behind "cpu:", in their own order, each once.
Error parseLevels(ArrayRef<StringRef> names, std::vector<const CpuLevel *> &levels) {
  if (names.size() == 1 && names.front() == "none")
    return Error::success();
  const SmallVector<StringRef> processors = processorNames();
  for (StringRef name : names)
    if (name != "all" && !is_contained(processors, name) && !findCpuLevel(name))
      return usageError("option '--target': unknown level '" + name + "', known: none, all, " +
                        join(processors, ", ") + ", " + levelNames());
  for (const CpuLevel &level : cpuLevels())
    if (is_contained(names, level.name) || is_contained(names, level.processor) ||
        is_contained(names, "all"))
      levels.push_back(&level);
  return Error::success();
}

/// A target of --target, and the names behind it.
struct NamedTarget {
  NamedTarget(StringRef name) : name(name) {}

  StringRef name;
  bool isThere = false, hasNames = false;
  SmallVector<StringRef> names;
};

/// The levels of a GPU target that is there: those named, or all but those that are had by name
/// only.
Error addGpuLevels(const NamedTarget &target, std::vector<const GpuLevel *> &levels) {
  SmallVector<StringRef> known;
  for (const GpuLevel &level : gpuLevels())
    if (target.name == level.targetName)
      known.push_back(level.name);
  for (StringRef name : target.names)
    if (name != "all" && !is_contained(known, name))
      return usageError("option '--target': unknown level '" + target.name + ":" + name +
                        "', known: all, " + join(known, ", "));
  for (const GpuLevel &level : gpuLevels())
    if (target.name == level.targetName &&
        ((!target.hasNames && !level.onlyByName) || is_contained(target.names, level.name) ||
         is_contained(target.names, "all")))
      levels.push_back(&level);
  return Error::success();
}

/// Comma-separated "TARGET[:NAME[,NAME...]]", a name being a level or "all"; of the processor also
/// a processor or "none". The processor's levels stay open if it is there without names.
Error parseTarget(StringRef value, std::optional<std::vector<const CpuLevel *>> &out,
                  Options &options) {
  NamedTarget targets[] = {StringRef("cpu"), StringRef("vulkan"), StringRef("cuda"),
                           StringRef("hip")};
  NamedTarget *last = nullptr;
  SmallVector<StringRef> parts;
  value.split(parts, ',');
  for (StringRef part : parts) {
    const StringRef name = part.split(':').first;
    auto *target = find_if(targets, [&](const NamedTarget &t) { return t.name == name; });
    if (target != std::end(targets)) {
      last = target;
      last->isThere = true;
      last->hasNames |= part.contains(':');
      if (part.contains(':'))
        last->names.push_back(part.split(':').second);
    } else if (last && last->hasNames) {
      last->names.push_back(part);
    } else {
      return usageError("option '--target': unknown target '" + part +
                        "', known: cpu, vulkan, cuda, hip");
    }
  }
  options.gpuLevels.clear();
  for (const NamedTarget &target : drop_begin(targets))
    if (target.isThere)
      if (Error error = addGpuLevels(target, options.gpuLevels))
        return error;
  out.reset();
  const NamedTarget &cpu = targets[0];
  if (cpu.isThere && !cpu.hasNames)
    return Error::success();
  return parseLevels(cpu.names, out.emplace());
}

/// Where no levels were named: those of the processor that the output is for.
std::vector<const CpuLevel *> levelsFor(const ObjectMachine *machine) {
  std::vector<const CpuLevel *> levels;
  for (const CpuLevel &level : cpuLevels())
    if (machine && level.processor == machine->name)
      levels.push_back(&level);
  return levels;
}

Error parseEmit(StringRef value, Emit &emit) {
  const SmallVector<StringRef> known = {"bundle", "object", "plan", "mlir"};
  if (Error error = oneOf("--emit", value, known))
    return error;
  emit = value == "object" ? Emit::Object
         : value == "plan" ? Emit::Plan
         : value == "mlir" ? Emit::Mlir
                           : Emit::Bundle;
  return Error::success();
}

Error parseObjectFor(StringRef value, const ObjectMachine *&machine) {
  machine = findObjectMachine(value);
  if (machine)
    return Error::success();
  return usageError(
      "option '--object-for': unknown processor '" + value + "', known: " +
      join(map_range(objectMachines(), [](const ObjectMachine &m) { return m.name.str(); }), ", "));
}

Error parseTokens(StringRef name, StringRef value, uint32_t most, uint32_t &tokens) {
  if (value.getAsInteger(10, tokens) || tokens == 0 || tokens > most)
    return usageError("option '" + name + "': '" + value +
                      "' is not a number of tokens from 1 to " + Twine(most));
  return Error::success();
}

Error parseGroup(StringRef value, uint32_t &group) {
  if (value.getAsInteger(10, group) || !llmir_group_is_valid(group))
    return usageError(
        "option '--group': '" + value +
        "' is not a number of columns that may share a scale, expected " LLMIR_GROUPS);
  return Error::success();
}

Error parseValueOption(Arguments &arguments, Options &options,
                       std::optional<std::vector<const CpuLevel *>> &levels) {
  StringRef name = arguments.name();
  std::string value;
  const StringRef known[] = {"-o",           "--output",        "--quantize",   "--activations",
                             "--target",     "--context",       "--group",      "--emit",
                             "--dump-after", "--chat-template", "--object-for", "--chunk",
                             "--ptxas"};
  if (!is_contained(known, name))
    return usageError("unknown option '" + arguments.text() + "'");
  if (Error error = arguments.value(value))
    return error;
  if (name == "-o" || name == "--output") {
    options.output = value;
  } else if (name == "--dump-after") {
    options.dumpAfter = value;
    return oneOf(name, value, pipelinePassNames());
  } else if (name == "--chat-template") {
    options.chatTemplate = value;
  } else if (name == "--ptxas") {
    options.ptxas = value;
  } else if (name == "--quantize") {
    const SmallVector<StringRef> known = {"keep", "q4", "q8", "f16", "f32"};
    options.quantize = value;
    return oneOf(name, value, known);
  } else if (name == "--group") {
    return parseGroup(value, options.group);
  } else if (name == "--activations") {
    const SmallVector<StringRef> known = {"mixed", "int8", "int16"};
    options.activations = value;
    return oneOf(name, value, known);
  } else if (name == "--target") {
    return parseTarget(value, levels, options);
  } else if (name == "--emit") {
    return parseEmit(value, options.emit);
  } else if (name == "--object-for") {
    return parseObjectFor(value, options.objectFor);
  } else if (name == "--chunk") {
    return parseTokens(name, value, maxChunk, options.chunkTokens);
  } else {
    return parseTokens(name, value, maxContext, options.contextCount);
  }
  return Error::success();
}

/// The header lies beside the object file and both are named after it.
Error checkObject(Options &options) {
  if (!options.objectFor)
    options.objectFor = hostObjectMachine();
  if (!options.objectFor)
    return usageError("no object files for this machine; name one with '--object-for'");
  const StringRef ending = sys::path::extension(options.output);
  if (ending != ".o")
    return usageError("'" + options.output + "': an object file is called NAME.o");
  return Error::success();
}

/// Other kinds make no groups: those of integer weights that are kept are their encoding's.
Error checkGroup(Options &options) {
  const bool makesGroups = options.quantize == "q4" || options.quantize == "q8";
  if (options.group != 0 && !makesGroups)
    return usageError("option '--group' is for '--quantize q4' and '--quantize q8', found '" +
                      options.quantize + "'");
  if (options.group == 0 && makesGroups)
    options.group = CompileOptions().group;
  return Error::success();
}

Error checkComplete(Options &options) {
  if (options.help || options.version)
    return Error::success();
  if (options.model.empty())
    return usageError("no model given");
  if (Error error = checkGroup(options))
    return error;
  const bool isText = options.emit == Emit::Plan || options.emit == Emit::Mlir;
  if (options.output.empty()) {
    if (!isText)
      return usageError("no output given: -o OUT.llmir");
    options.output = "-";
  }
  if (options.output == "-" && !isText)
    return usageError("a bundle cannot be written to standard output");
  if (options.objectFor && options.emit != Emit::Object)
    return usageError("option '--object-for' is for '--emit object'");
  if (options.emit == Emit::Object)
    return checkObject(options);
  return Error::success();
}

/// What --help says about levels: "    aarch64: aarch64-neon, ...".
std::string processorLines() {
  std::string lines;
  for (StringRef processor : processorNames())
    lines += "                            " + processor.str() + ": " + levelNames(processor) + "\n";
  return lines;
}

/// The same of GPUs: "    cuda: sm_75, sm_80", and on a line of their own those had by name only.
std::string gpuLines() {
  const std::string indent = "\n                            ";
  std::string lines;
  const GpuLevel *last = nullptr;
  for (const GpuLevel &level : gpuLevels()) {
    if (last && last->target == level.target)
      lines += (last->onlyByName == level.onlyByName ? ", " : "," + indent + "  ") + level.name;
    else
      lines += indent + level.targetName + ": " + level.name;
    last = &level;
  }
  return lines.substr(1) + "\n";
}

} // namespace

Expected<Options> parseOptions(ArrayRef<StringRef> arguments) {
  Options options;
  std::optional<std::vector<const CpuLevel *>> levels;
  Arguments walker(arguments);
  bool onlyFiles = false;
  while (walker.next()) {
    if (onlyFiles || !walker.text().starts_with("-")) {
      if (!options.model.empty())
        return usageError("more than one model: '" + walker.text() + "'");
      options.model = walker.text().str();
    } else if (walker.isSwitch("--")) {
      onlyFiles = true;
    } else if (walker.isSwitch("--help") || walker.isSwitch("-h")) {
      options.help = true;
    } else if (walker.isSwitch("--version")) {
      options.version = true;
    } else if (walker.isSwitch("--quiet")) {
      options.quiet = true;
    } else if (Error error = parseValueOption(walker, options, levels)) {
      return error;
    }
  }
  if (Error error = checkComplete(options))
    return error;
  options.levels =
      levels ? *levels : levelsFor(options.objectFor ? options.objectFor : hostObjectMachine());
  return options;
}

std::string usageText() {
  return "Usage: llmirc MODEL -o OUT.llmir [options]\n"
         "\n"
         "Compiles a language model (GGUF) to a bundle for the LLMIR runtime.\n"
         "\n"
         "  -o, --output FILE         what to write\n"
         "  --quantize KIND           keep (default): integer weights as they are; q4, q8, f16, "
         "f32\n"
         "  --group N                 columns that share a scale with q4 and q8: 32 (default), 64, "
         "128 or 256;\n"
         "                            where it does not divide a matrix, the next smaller\n"
         "  --activations KIND        inputs of products with integer weights: mixed (default), "
         "int8 "
         "(fastest), int16\n"
         "  --target TARGETS          comma-separated (default: cpu):\n"
         "                            cpu[:NAMES]: code for processors or their levels; cpu: all "
         "levels of\n"
         "                            this machine's processor; cpu:all; cpu:none: no code\n" +
         processorLines() +
         "                            vulkan, cuda (PTX), hip (code objects): code for GPUs; "
         "with names\n"
         "                            behind it for those levels alone, of which those of vulkan "
         "that begin with\n"
         "                            matrix go by name, and those of cuda that begin with cubin "
         "need NVIDIA's\n"
         "                            ptxas; vulkan:all, cuda:all: these too:\n" +
         gpuLines() +
         "  --ptxas FILE              NVIDIA's assembler (default: the one in PATH, "
         "$CUDA_HOME/bin or\n"
         "                            /usr/local/cuda/bin)\n"
         "  --context N               positions that the model is used with (default: as trained)\n"
         "  --chunk N                 most tokens of one pass (default: 256); fewer take less "
         "memory\n"
         "  --emit KIND               bundle (default); object: OUT.o with the bundle in it, and "
         "OUT.h; "
         "plan, mlir: the program as text\n"
         "  --object-for PROCESSOR    of --emit object: x86-64, aarch64, arm, riscv64, riscv32 "
         "(default: "
         "this machine's)\n"
         "  --dump-after PASS         the module after that pass, on standard error\n"
         "  --chat-template NAME|FILE instead of the template in the model; none: no template\n"
         "  --quiet                   no progress, no summary\n"
         "  --version, --help\n"
         "\n"
         "Exit codes: 0 done, 1 failed, 2 wrong usage.\n";
}

} // namespace llmir::compiler
