#!/usr/bin/env python3
"""snapshot.py DIRECTORY QMP-SOCKET STATUS-FILE. Answers: how does a start cost two seconds and not eight?

When the guest says "ready", stops it and saves the state of its devices; its memory is in DIRECTORY/ram already."""
import json
import socket
import sys
import time


def main(directory, qmp, status):
    monitor = Monitor(until(lambda: connect(qmp)))
    until(lambda: "ready" in open(status).read())
    time.sleep(1)  # the kernel's own start-up work settles
    monitor.do("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
    monitor.do("migrate", uri=f"file:{directory}/state")
    until(lambda: migrated(monitor))
    monitor.do("quit")


def migrated(monitor):
    state = monitor.do("query-migrate").get("status")
    if state == "failed":
        sys.exit("snapshot.py: QEMU could not save its state")
    return state == "completed"


def until(ask, seconds=300):
    deadline = time.time() + seconds
    while time.time() < deadline:
        try:
            if answer := ask():
                return answer
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit("snapshot.py: timed out")


def connect(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    return sock


class Monitor:
    def __init__(self, sock):
        self.file = sock.makefile("rw")
        self.file.readline()
        self.do("qmp_capabilities")

    def do(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        for line in self.file:
            reply = json.loads(line)
            if "error" in reply:
                sys.exit(f"snapshot.py: {command}: {reply['error']['desc']}")
            if "return" in reply:
                return reply["return"]
        sys.exit(f"snapshot.py: {command}: QEMU went away")


main(*sys.argv[1:])
