//===- LLMIRCollectiveOps.td - Communication between devices ----------------------------------===//
//
// Collectives have side effects: every member of a group must meet them in the same order, so they
// are neither removed nor moved.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_DIALECT_LLMIR_COLLECTIVEOPS
#define LLMIR_DIALECT_LLMIR_COLLECTIVEOPS

include "llmir/Dialect/LLMIR/LLMIRWeightOps.td"

def LLMIR_AllReduceOp : LLMIR_Op<"all_reduce", [SameOperandsAndResultType]> {
  let summary = "combination of the members' values";
  let description = [{
    Element-wise sum or maximum over all members of `group`; each gets the result.

    Shapes: all [T x columns].
    Lowers to: nothing yet.

    Example:

    ```mlir
    func.func @f(%x: tensor<?x576xf32>) -> tensor<?x576xf32> {
      %0 = llmir.all_reduce sum %x across "tensor" : tensor<?x576xf32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_ReduceKind:$kind, LLMIR_Rows:$input, StrAttr:$group);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = "$kind $input `across` $group attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def LLMIR_AllGatherOp : LLMIR_Op<"all_gather"> {
  let summary = "the members' columns side by side";
  let description = [{
    Each member holds a share of the columns; the result has all of them in the order of the
    members.

    Shapes: `input` [T x columns], `result` [T x members * columns].
    Lowers to: nothing yet.

    Example:

    ```mlir
    func.func @f(%x: tensor<?x288xf32>) -> tensor<?x576xf32> {
      %0 = llmir.all_gather %x across "tensor" of 2 : tensor<?x288xf32> -> tensor<?x576xf32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$input, StrAttr:$group, I64Attr:$members);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat =
      "$input `across` $group `of` $members attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def LLMIR_SendOp : LLMIR_Op<"send"> {
  let summary = "rows to the next stage";
  let description = [{
    Hands `input` to member `peer` of `group`, which receives it with the same `tag`.

    Lowers to: nothing yet.

    Example:

    ```mlir
    func.func @f(%x: tensor<?x576xf32>) {
      llmir.send %x to 1 tag 0 across "stage" : tensor<?x576xf32>
      return
    }
    ```
  }];
  let arguments = (ins LLMIR_Rows:$input, I64Attr:$peer, I64Attr:$tag, StrAttr:$group);
  let assemblyFormat =
      "$input `to` $peer `tag` $tag `across` $group attr-dict `:` type($input)";
  let hasVerifier = 1;
}

def LLMIR_RecvOp : LLMIR_Op<"recv"> {
  let summary = "rows from the previous stage";
  let description = [{
    What member `peer` of `group` sent with `tag`.

    Lowers to: nothing yet.

    Example:

    ```mlir
    func.func @f() -> tensor<?x576xf32> {
      %0 = llmir.recv from 0 tag 0 across "stage" : tensor<?x576xf32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins I64Attr:$peer, I64Attr:$tag, StrAttr:$group);
  let results = (outs LLMIR_Rows:$result);
  let assemblyFormat = "`from` $peer `tag` $tag `across` $group attr-dict `:` type($result)";
  let hasVerifier = 1;
}

#endif // LLMIR_DIALECT_LLMIR_COLLECTIVEOPS
