"""include/routed/ffi.h as the tools of other languages see it: declarations and nothing else."""

import ctypes
import pathlib
import re
import subprocess
import sys

import pytest
from pycparser import c_ast, c_parser

ROOT = pathlib.Path(__file__).parents[2]
HEADERS = ["error.h", "export.h", "ffi.h", "limits.h", "metrics.h"]  # ffi.h and what it includes

sys.path.insert(0, str(ROOT / "tests/e2e/hosts"))
import routed  # noqa: E402

# What the headers take from the system, as such tools are given it.
SYSTEM = {
    "stddef.h": "typedef unsigned long size_t;",
    "stdint.h": "".join(
        f"typedef {'unsigned ' * unsigned}{kind} {'u' * unsigned}int{bits}_t;\n"
        for unsigned in (0, 1)
        for bits, kind in ((8, "char"), (16, "short"), (32, "int"), (64, "long"))
    )
    + "#define UINT64_MAX 0xffffffffffffffff\n",
    "stdarg.h": "typedef int va_list;",
}


def parse(header, folder):
    for name, text in SYSTEM.items():
        (folder / name).write_text(f"#pragma once\n{text}\n")
    text = subprocess.run(
        ["gcc", "-E", "-P", "-nostdinc", "-Werror", "-DROUTED_API=", f"-I{folder}",
         f"-I{ROOT / 'include'}", header],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return c_parser.CParser().parse(text)


@pytest.fixture(scope="module")
def ffi(tmp_path_factory):
    return parse(ROOT / "include/routed/ffi.h", tmp_path_factory.mktemp("system"))


def functions_of(tree):
    return {
        node.name: node.type
        for node in tree.ext
        if isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl)
    }


def structs_of(tree):
    return {
        node.name: node.type.type
        for node in tree.ext
        if isinstance(node, c_ast.Typedef)
        and isinstance(node.type, c_ast.TypeDecl)
        and isinstance(node.type.type, c_ast.Struct)
        and node.type.type.decls
    }


def name_of(kind):
    """The name of a type that is passed by value, or None for a pointer."""
    if isinstance(kind, c_ast.PtrDecl):
        return None
    return " ".join(kind.type.names) if isinstance(kind.type, c_ast.IdentifierType) else "struct"


@pytest.mark.parametrize("name", HEADERS)
def test_header_is_plain_declarations(name, tmp_path):
    header = ROOT / "include/routed" / name
    assert parse(header, tmp_path).ext or name == "export.h"
    assert set(re.findall(r"<routed/(.*)>", header.read_text())) <= set(HEADERS)


def test_every_function_is_a_symbol_and_the_reverse(ffi):
    symbols = (ROOT / "tests/abi/symbols.txt").read_text().split()
    declared = {name for name in functions_of(ffi) if name.startswith("routed_ffi_")}
    assert declared == {name for name in symbols if name.startswith("routed_ffi_")}


def test_only_pointers_and_fixed_widths_are_passed(ffi):
    for name, function in functions_of(ffi).items():
        if not name.startswith("routed_ffi_"):
            continue
        for argument in function.args.params:
            assert not isinstance(argument, c_ast.EllipsisParam), name
        values = {name_of(argument.type) for argument in function.args.params}
        values.add(name_of(function.type))
        assert values <= {None, "void", "int32_t", "uint32_t", "int64_t", "uint64_t"}, name


def test_options_begin_with_their_size(ffi):
    for name in ("routed_ffi_options", "routed_limits"):
        first = structs_of(ffi)[name].decls[0]
        assert (first.name, name_of(first.type)) == ("size", "uint64_t")


@pytest.mark.parametrize("name, mirror", [("options", routed.Options), ("event", routed.Event)])
def test_structs_of_the_python_hosts(ffi, name, mirror):
    widths = {"uint64_t": 8, "uint32_t": 4, "int32_t": 4, None: ctypes.sizeof(ctypes.c_void_p)}
    members = structs_of(ffi)[f"routed_ffi_{name}"].decls
    assert [(m.name, widths[name_of(m.type)]) for m in members] == [
        (field, ctypes.sizeof(kind)) for field, kind in mirror._fields_
    ]


def test_kinds_of_the_python_hosts():
    text = (ROOT / "include/routed/ffi.h").read_text()
    kinds = dict(re.findall(r"ROUTED_FFI_([A-Z]+) = (\d)", text))
    names = ("REQUEST", "BODY", "END", "WRITABLE", "CLOSED", "STOPPED")
    mirrored = (routed.REQUEST, routed.BODY, routed.END, routed.WRITABLE, routed.CLOSED_EVENT,
                routed.STOPPED)  # fmt: skip
    assert tuple(int(kinds[name]) for name in names) == mirrored
