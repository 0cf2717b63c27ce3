#!/usr/bin/env python3
"""extract-vmlinux.py BZIMAGE OUT. Answers: where in a bzImage is the kernel's own ELF?

QEMU starts that through its PVH entry, with no decompressor to emulate."""
import gzip
import lzma
import pathlib
import struct
import subprocess
import sys


def main(image, out):
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    elf = unpack(image[start : start + length])
    assert elf[:4] == b"\x7fELF", "the payload is no ELF"
    out.write_bytes(elf)


def unpack(payload):
    if payload[:4] == b"\x28\xb5\x2f\xfd":
        # The last four bytes are the plain size.
        return subprocess.run(["zstd", "-dc"], input=payload[:-4], stdout=subprocess.PIPE).stdout
    if payload[:6] == b"\xfd7zXZ\x00":
        return lzma.LZMADecompressor().decompress(payload)
    if payload[:2] == b"\x1f\x8b":
        return gzip.decompress(payload)
    sys.exit(f"extract-vmlinux.py: unknown compression {payload[:6]!r}")


main(pathlib.Path(sys.argv[1]).read_bytes(), pathlib.Path(sys.argv[2]))
