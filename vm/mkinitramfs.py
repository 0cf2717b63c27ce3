#!/usr/bin/env python3
"""mkinitramfs.py KERNEL INIT. Answers: what must a kernel have before it can reach the host's files?

Writes KERNEL/initramfs.cpio (newc, uncompressed): /init and the modules for the root share and for the tests."""
import lzma
import pathlib
import subprocess
import sys

WANTED = """virtio_pci virtio_console 9pnet_virtio 9p overlay veth ipvlan macvlan dummy vrf bridge sch_ingress cls_bpf
            tun crc32c_generic nf_conntrack bonding 8021q wireguard""".split()
# Plain copies of these: nothing needs xz in the emulated guest.
UNPACKED = """drivers/net/ipvlan drivers/net/veth drivers/net/dummy drivers/net/macvlan drivers/net/vrf
              drivers/net/macvtap drivers/net/tap drivers/net/tun net/bridge net/llc net/802 net/sched net/8021q
              net/packet net/ipv4/netfilter net/ipv6/netfilter net/netfilter""".split()


def main(kernel, init):
    modules = next(kernel.glob("**/lib/modules/*"))
    if not (modules / "modules.dep").exists():
        prepare(modules)
    archive = Cpio()
    for directory in "dev proc sys m ro rw new root".split():
        archive.add(directory, 0o40755)
    archive.add("dev/console", 0o20600, device=(5, 1))
    order = load_order(modules)
    for path in order:
        archive.add(f"m/{module(path)}", 0o100644, read(modules / path))
    archive.add("m/list", 0o100644, "".join(f"{module(path)}\n" for path in order).encode())
    archive.add("init", 0o100755, init.read_bytes())
    archive.add("TRAILER!!!", 0)
    (kernel / "initramfs.cpio").write_bytes(archive.bytes)


def prepare(modules):
    for directory in UNPACKED:
        for packed in (modules / "kernel" / directory).glob("**/*.ko.xz"):
            packed.with_suffix("").write_bytes(read(packed))
            packed.unlink()
    root = next(parent.parent for parent in modules.parents if parent.name == "lib")
    subprocess.check_call(["depmod", "-b", root, modules.name])


def load_order(modules):
    """Paths of the wanted modules and of what they need, each after its own needs; what is built in has no path."""
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, rest = line.split(":")
        needs[path] = rest.split()
    by_name = {module(path).removesuffix(".ko").replace("-", "_"): path for path in needs}
    order = []
    for wanted in (by_name[name] for name in WANTED if name in by_name):
        order += [path for path in [*reversed(needs[wanted]), wanted] if path not in order]
    return order


def module(path):
    return pathlib.Path(path).name.removesuffix(".xz")


def read(path):
    return lzma.open(path).read() if path.suffix == ".xz" else path.read_bytes()


class Cpio:
    def __init__(self):
        self.bytes, self.inode = bytearray(), 0

    def add(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        self.append(b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0")
        self.append(data)

    def append(self, data):
        self.bytes += data + b"\0" * (-len(data) % 4)


main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]))
