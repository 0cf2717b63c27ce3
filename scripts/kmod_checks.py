"""How do the tests of the kernel module that are in Python start in a virtual machine, look at things, and end?"""
import contextlib
import ctypes
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
CLONE_NEWNET = 0x40000000
failed = []


def main(inside, *more):
    """Builds the module, and runs this program again in a virtual machine (KERNEL, by default Debian's 6.12) with the module's
    path and `more`. There, `inside` is called with these, without the kernel's own driver; the log must stay empty."""
    if sys.argv[1:2] != ["--inside"]:
        module = subprocess.run([f"{ROOT}/scripts/kmod"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        program = os.path.realpath(sys.argv[0])
        words = ["run", "-k", os.environ.get("KERNEL", "6.12"), "-T", "1800", program, "--inside", module, *more]
        os.execv(f"{ROOT}/vm/run", words)
    subprocess.run(["modprobe", "-qr", "ipvtap", "ipvlan"], check=False)
    inside(*sys.argv[2:])
    check("the kernel's log has no warning", subprocess.run([f"{ROOT}/scripts/kmod-log"], check=False).returncode == 0)
    sys.exit(bool(failed))


def command():
    """The path of the command `ipvl`, which outside of the virtual machine is built first."""
    if sys.argv[1:2] != ["--inside"]:
        subprocess.run(["cargo", "build", "--quiet", "--locked", "--package", "ipvl"], cwd=ROOT, check=True)
    return f"{ROOT}/target/debug/ipvl"


def check(what, holds, seen=""):
    """Prints one line, and what was seen if that is wrong."""
    print("good " if holds else "WRONG", what, "" if holds else seen, flush=True)
    if not holds:
        failed.append(what)


def run(*command):
    """What the command prints. If it fails, all ends."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def good(*words):
    """What the command `ipvl` prints in the netns `hst`, where the master is; its path is the first of `more`. If it fails, all ends."""
    return run("ip", "netns", "exec", "hst", sys.argv[3], *words)


def ping(net, address, *more, wait=2):
    """Whether an answer comes to one ping within `wait` seconds."""
    line = ["ip", "netns", "exec", net, "ping", "-nqc", "1", "-W", str(wait), *more, address]
    return not subprocess.run(line, capture_output=True, check=False).returncode


@contextlib.contextmanager
def within(net):
    """This thread in another netns."""
    with open("/proc/self/ns/net") as own, open(f"/run/netns/{net}") as other:
        enter(other)
        try:
            yield
        finally:
            enter(own)


def enter(namespace):
    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
