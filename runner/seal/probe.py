"""The probe: a program for a sandbox, as data, that prints what it finds of the world as one line of JSON. Pure.

It needs Python 3.9 and the standard library alone. It is for sandboxes only: it tries what none may do.
"""

from __future__ import annotations

from typing import Final

NEIGHBOUR: Final = "of-another-run.txt"
"""A file of this name lies on the host beside what a sandbox is shown; none may come across it."""

PROBE: Final = r"""
import ctypes, errno, glob, json, os, resource, socket, stat, sys
NEIGHBOUR = "of-another" + "-run.txt"

def tried(deed):
    try:
        deed()
        return "done"
    except OSError as fault:
        return errno.errorcode.get(fault.errno, type(fault).__name__) if isinstance(fault.errno, int) else "?"

def connects(family, kind, where):
    def deed():
        with socket.socket(family, kind) as one:
            one.settimeout(2)
            one.connect(where)
            if kind == socket.SOCK_DGRAM:
                one.send(b"x")
    return tried(deed)

def resolves(name):
    try:
        return str(socket.getaddrinfo(name, 443))
    except socket.gaierror:
        return "no"

def touches(path):
    def deed():
        with open(path, "w"):
            pass
    return tried(deed)

libc = ctypes.CDLL(None, use_errno=True)

def calls(name, *arguments):
    def deed():
        if getattr(libc, name)(*arguments) < 0:
            raise OSError(ctypes.get_errno(), name)
    return tried(deed)

def status_of(pid):
    lines = open(f"/proc/{pid}/status").read().splitlines()
    told = dict(line.split(":\t") for line in lines if ":\t" in line)
    return {
        "caps": [int(told[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
        "no_new_privs": int(told["NoNewPrivs"]), "seccomp": int(told["Seccomp"]), "uids": told["Uid"].split(),
    }

def read(path):
    try:
        with open(path, "rb") as file:
            return file.read(100_000).decode("utf-8", "replace")
    except OSError:
        return ""

def told_by_cgroup():
    told = {}
    for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max"):
        if os.path.exists("/sys/fs/cgroup/" + name):
            told[name] = read("/sys/fs/cgroup/" + name).split()
    return told

def masked(path):
    if os.path.isdir(path):
        try:
            return not os.listdir(path)
        except OSError:
            return True
    try:
        with open(path, "rb") as file:
            return not file.read(1)
    except OSError:
        return True

MASKED = ("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/timer_list", "/proc/timer_stats", "/sys/firmware", "/sys/fs/selinux")
mounts = [line.split() for line in open("/proc/self/mountinfo")]
sockets, neighbours, writable, blocks, characters = [], [], [], [], []
for top, folders, files in os.walk("/"):
    folders[:] = [one for one in folders if os.path.join(top, one) not in ("/proc", "/sys")]
    if os.access(top, os.W_OK):
        writable.append(top)
    for name in files:
        path = os.path.join(top, name)
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            continue
        if stat.S_ISSOCK(mode):
            sockets.append(path)
        if stat.S_ISBLK(mode):
            blocks.append(path)
        if stat.S_ISCHR(mode):
            characters.append(path)
        if name == NEIGHBOUR:
            neighbours.append(path)

KNOWN = ("/run/podman/podman.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket",
    "/run/systemd/private", *glob.glob("/run/user/*/*"))
NEWUSER, NEWNS, NEWNET = 0x10000000, 0x20000, 0x40000000
print(json.dumps({
    "self": status_of("self"), "first": status_of(1),
    "interfaces": sorted(line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]),
    "routes": len(open("/proc/net/route").readlines()) - 1,
    "routes6": [line.split()[-1] for line in read("/proc/net/ipv6_route").splitlines() if line.split()[-1] != "lo"],
    "abstract": [line.split()[-1] for line in read("/proc/net/unix").splitlines()[1:] if " @" in line],
    "names": [resolves(name) for name in ("example.com", "host.containers.internal", "metadata.google.internal")],
    "outside": {
        "tcp": connects(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 443)),
        "udp": connects(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53)),
        "metadata": connects(socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80)),
        "lan": connects(socket.AF_INET, socket.SOCK_STREAM, ("10.0.2.2", 22)),
        "tcp6": connects(socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::1", 443)),
    },
    "raw": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()),
    "root": {p: touches(p + "/x") for p in ("", "/etc", "/usr", "/usr/bin", "/var/tmp", "/run", "/ashigaru", "/home")
        if os.path.isdir(p or "/")},
    "root_options": [line[5].split(",")[0] for line in mounts if line[4] == "/"],
    "granted": {p: touches(p + "/x") for p in
        ("/workspace", "/ashigaru/in", "/ashigaru/out", "/ashigaru/env", "/ashigaru/sockets") if os.path.isdir(p)},
    "writable": sorted(writable), "sockets": sorted(sockets), "blocks": sorted(blocks),
    "characters": sorted(characters), "neighbours": neighbours,
    "known": {p: connects(socket.AF_UNIX, socket.SOCK_STREAM, p) for p in KNOWN},
    "mounts": sorted({line[4] for line in mounts if not line[4].startswith(("/proc", "/sys", "/dev"))}),
    "options": {line[4]: line[5].split(",") for line in mounts},
    "calls": {
        "unshare user": calls("unshare", NEWUSER), "unshare mount": calls("unshare", NEWNS),
        "unshare net": calls("unshare", NEWNET), "chroot": calls("chroot", b"/"),
        "mount": calls("mount", b"none", b"/", b"tmpfs", 0, None),
        "remount": calls("mount", b"none", b"/", None, 32, None), "umount": calls("umount2", b"/", 2),
        "mknod": calls("mknod", b"/tmp/device", stat.S_IFBLK | 0o600, os.makedev(8, 0)),
        "setuid": calls("setuid", 0), "sethostname": calls("sethostname", b"x", 1),
        "kernel": touches("/proc/sys/kernel/core_pattern"), "sysrq": touches("/proc/sysrq-trigger"),
        "cgroup": touches("/sys/fs/cgroup/cgroup.procs"), "memory": tried(lambda: open("/proc/kcore", "rb").read(1)),
    },
    "limits": {name: resource.getrlimit(which)[1] for name, which in (("core", resource.RLIMIT_CORE),
        ("fsize", resource.RLIMIT_FSIZE), ("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC))},
    "ids": {name: [[int(one) for one in line.split()] for line in read(f"/proc/self/{name}").splitlines()]
        for name in ("uid_map", "gid_map")},
    "unmasked": [path for path in MASKED if not masked(path)],
    "label": read("/proc/self/attr/current").strip("\0\n"),
    "apparmor": read("/proc/self/attr/apparmor/current").strip("\0\n"),
    "cgroup2": os.path.exists("/sys/fs/cgroup/cgroup.controllers"), "cgroup": told_by_cgroup(),
    "environ": dict(os.environ),
    "said": {path: read(path) for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline")},
    "processes": len(glob.glob("/proc/[0-9]*")),
}))
"""
