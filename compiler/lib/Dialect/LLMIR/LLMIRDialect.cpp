//===- LLMIRDialect.cpp - Types, attributes and registration of the llmir dialect -------------===//

#include "llmir/Dialect/LLMIR/LLMIRDialect.h"
#include "quant/quant_layout.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::llmir;

//===-----------------------------------------------------------------------------------------===//
// Custom syntax
//===-----------------------------------------------------------------------------------------===//

/// "960x576"
static ParseResult parseDimensions(AsmParser &parser, SmallVector<int64_t> &shape) {
  return parser.parseDimensionList(shape, /*allowDynamic=*/false, /*withTrailingX=*/false);
}

static void printDimensions(AsmPrinter &printer, ArrayRef<int64_t> shape) {
  llvm::interleave(shape, printer.getStream(), "x");
}

#include "llmir/Dialect/LLMIR/LLMIRDialect.cpp.inc"
#include "llmir/Dialect/LLMIR/LLMIREnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "llmir/Dialect/LLMIR/LLMIRAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "llmir/Dialect/LLMIR/LLMIRTypes.cpp.inc"

void LLMIRDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "llmir/Dialect/LLMIR/LLMIRAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "llmir/Dialect/LLMIR/LLMIRTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "llmir/Dialect/LLMIR/LLMIROps.cpp.inc"
      >();
}

//===-----------------------------------------------------------------------------------------===//
// Types and attributes
//===-----------------------------------------------------------------------------------------===//

LogicalResult QTensorType::verify(function_ref<InFlightDiagnostic()> emitError,
                                  ArrayRef<int64_t> shape, Layout layout, int64_t group) {
  if (shape.empty() || shape.size() > 3)
    return emitError() << "a weight has 1 to 3 dimensions, found " << shape.size();
  for (int64_t dimension : shape)
    if (dimension <= 0 || dimension > INT32_MAX)
      return emitError() << "dimensions of a weight are from 1 to 2^31 - 1, found " << dimension;
  bool isPanel = layout >= Layout::PanelF32 && layout <= Layout::PanelS8;
  if (isPanel && shape.size() < 2)
    return emitError() << "layout " << stringifyLayout(layout) << " is for matrices";
  if (layout >= Layout::PanelS4 && layout <= Layout::PanelS8) {
    if (!llmir_group_is_valid(static_cast<uint64_t>(group)))
      return emitError() << "layout " << stringifyLayout(layout)
                         << " has groups of " LLMIR_GROUPS " columns, found " << group;
    if (shape.back() % group != 0)
      return emitError() << shape.back() << " columns are no multiple of the group of " << group;
  } else if (group != 0) {
    return emitError() << "layout " << stringifyLayout(layout) << " has no groups";
  }
  return success();
}

LogicalResult Q8RowsType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t columns,
                                 int64_t group, bool) {
  if (!llmir_group_is_valid(static_cast<uint64_t>(group)))
    return emitError() << "groups of quantized rows are " LLMIR_GROUPS " columns, found " << group;
  if (columns <= 0 || columns % group != 0)
    return emitError() << columns << " columns are no multiple of the group of " << group;
  return success();
}

/// `<columns, group[, wide]>`.
Type Q8RowsType::parse(AsmParser &parser) {
  int64_t columns = 0, group = 0;
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseInteger(columns) || parser.parseComma() ||
      parser.parseInteger(group))
    return Type();
  bool wide = succeeded(parser.parseOptionalComma());
  if ((wide && parser.parseKeyword("wide")) || parser.parseGreater())
    return Type();
  return getChecked([&] { return parser.emitError(location); }, parser.getContext(), columns, group,
                    wide);
}

void Q8RowsType::print(AsmPrinter &printer) const {
  printer << '<' << getColumns() << ", " << getGroup() << (getWide() ? ", wide" : "") << '>';
}

LogicalResult PagedKVType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t kvHeads,
                                  int64_t headDim, int64_t pageTokens, int64_t window, KVStorage) {
  if (kvHeads <= 0)
    return emitError() << "a cache has at least one head, found " << kvHeads;
  if (headDim <= 0 || headDim > 512 || headDim % 8 != 0)
    return emitError() << "the head size is a multiple of 8 up to 512, found " << headDim;
  if (pageTokens != 0 && (pageTokens < 16 || pageTokens > 256 || pageTokens % 16 != 0))
    return emitError() << "a page has a multiple of 16 tokens from 16 to 256, found " << pageTokens;
  if (window < 0)
    return emitError() << "a window has at least one token, found " << window;
  return success();
}

Type PagedKVType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseLess() || parseDimensions(parser, shape))
    return Type();
  if (shape.size() != 2) {
    parser.emitError(location, "expected kv_heads x head_dim");
    return Type();
  }
  int64_t page = 0, window = 0;
  KVStorage storage = KVStorage::Any;
  while (succeeded(parser.parseOptionalComma())) {
    StringRef key, value;
    SMLoc keyLocation = parser.getCurrentLocation();
    if (parser.parseKeyword(&key) || parser.parseEqual())
      return Type();
    if (key == "page" || key == "window") {
      if (parser.parseInteger(key == "page" ? page : window))
        return Type();
    } else if (key == "storage") {
      if (parser.parseKeyword(&value))
        return Type();
      std::optional<KVStorage> symbol = symbolizeKVStorage(value);
      if (!symbol) {
        parser.emitError(keyLocation, "storage is any, f16 or f32");
        return Type();
      }
      storage = *symbol;
    } else {
      parser.emitError(keyLocation, "expected page, window or storage");
      return Type();
    }
  }
  if (parser.parseGreater())
    return Type();
  return parser.getChecked<PagedKVType>(location, parser.getContext(), shape[0], shape[1], page,
                                        window, storage);
}

void PagedKVType::print(AsmPrinter &printer) const {
  printer << '<' << getKvHeads() << 'x' << getHeadDim();
  if (getPageTokens() != 0)
    printer << ", page = " << getPageTokens();
  if (getWindow() != 0)
    printer << ", window = " << getWindow();
  if (getStorage() != KVStorage::Any)
    printer << ", storage = " << stringifyKVStorage(getStorage());
  printer << '>';
}

LogicalResult PartAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringAttr source,
                               int64_t rows, int64_t ropeDim, int64_t headDim) {
  if (source.empty())
    return emitError() << "a part names a tensor of the source";
  if (rows <= 0 || rows > INT32_MAX)
    return emitError() << "a part has from 1 to 2^31 - 1 rows, found " << rows;
  if (ropeDim == 0 && headDim == 0)
    return success();
  if (ropeDim <= 0 || ropeDim % 2 != 0 || ropeDim > headDim)
    return emitError() << "rope turns an even number of rows up to the head size of " << headDim
                       << ", found " << ropeDim;
  if (rows % headDim != 0)
    return emitError() << rows << " rows are no whole heads of " << headDim;
  return success();
}
