"""Operators of a graph that reach outside it when it is run: files, Python functions, libraries."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.containers.tensorflow.graph import GraphDef
from modelglot.core.errors import printable
from modelglot.core.notes import Finding

OPERATORS = {
    **dict.fromkeys(("PyFunc", "PyFuncStateless", "EagerPyFunc"), "calls a Python function of the process"),
    **dict.fromkeys(
        ("ReadFile", "WholeFileReader", "WholeFileReaderV2", "LMDBReader", "LMDBDataset", "TextLineReader",
         "TextLineReaderV2", "TFRecordReader", "TFRecordReaderV2", "TFRecordDataset", "TFRecordDatasetV2",
         "FixedLengthRecordReader", "FixedLengthRecordReaderV2", "FixedLengthRecordDataset",
         "FixedLengthRecordDatasetV2", "TextLineDataset", "SqlDataset", "CSVDataset", "CSVDatasetV2",
         "LoadDataset", "LoadDatasetV2", "DatasetFromSnapshot", "BigQueryReader"),
        "reads files",
    ),
    **dict.fromkeys(
        ("WriteFile", "Save", "SaveSlices", "SaveDataset", "SaveDatasetV2", "DatasetToTFRecord",
         "ExperimentalDatasetToTFRecord", "SnapshotDataset", "SnapshotDatasetV2", "CacheDataset", "CacheDatasetV2",
         "CreateSummaryFileWriter", "CreateSummaryDbWriter", "WriteGraphSummary", "SummaryWriter"),
        "writes a file",
    ),
    **dict.fromkeys(("LoadLibrary", "LoadOpLibrary", "_LoadLibrary"), "loads a library into the process"),
    **dict.fromkeys(("RemoteCall", "RpcCall", "TryRpc", "Rpc"), "calls a function somewhere else"),
    **dict.fromkeys(("DataServiceDataset", "DataServiceDatasetV2", "DataServiceDatasetV3", "DataServiceDatasetV4",
                     "RegisterDataset", "RegisterDatasetV2"), "talks to another machine"),
    "MatchingFiles": "lists files", "MatchingFilesDataset": "lists files", "DeleteFile": "deletes a file",
    "CopyFile": "copies a file", "PrintV2": "can write to a file",
    "DebugIdentity": "can send what passes to an address", "DebugIdentityV2": "can send what passes to a file",
    "DebugIdentityV3": "can send what passes to an address", "DebugNanCount": "can send what passes to an address",
    "DebugNumericSummary": "can send what passes to an address", "ImmutableConst": "maps a file",
    "DecodeProtoV2": "reads a description of types from a file",
    "EncodeProto": "reads a description of types from a file",
    "GenerateVocabRemapping": "reads a file", "LoadAndRemapMatrix": "reads a file",
}  # fmt: skip


def findings(graph: GraphDef, path: str) -> Iterator[Finding]:
    """One a node, of the graph and its functions. `SaveV2`, `RestoreV2` and `MergeV2Checkpoints` are in every training
    graph and are not named: whoever runs them gives the path."""
    for nodes in (graph.nodes, *graph.functions.values()):
        for node in nodes:
            said = OPERATORS.get(node.op)
            if said is not None:
                what = f"operator {printable(node.op, code=True)} at {printable(node.name, code=True)} {said}"
                yield Finding("tf-operator", "unsafe", what, path, hint="do not run this graph unless you trust it")
