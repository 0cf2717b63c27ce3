//! What does a virtual kernel run first? This: it loads modules, waits for orders, mounts the host's files, runs one
//! command, and reports how that ended.
//!
//! PID 1 of `vm/run`'s virtual machine: a static program without crates. Orders, output and status go over named
//! virtio-serial ports; a snapshot of the machine is taken while it waits for its orders.

use std::error::Error;
use std::ffi::{CString, c_char, c_int, c_long, c_ulong};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const MS_RDONLY: c_ulong = 1;
const MS_NOATIME: c_ulong = 1024;
const MS_BIND: c_ulong = 4096;
const MS_MOVE: c_ulong = 8192;
const MS_REC: c_ulong = 16384;
const MS_PRIVATE: c_ulong = 1 << 18;
const SYS_INIT_MODULE: c_long = if cfg!(target_arch = "aarch64") { 105 } else { 175 };
const SYS_CLOCK_SETTIME: c_long = if cfg!(target_arch = "aarch64") { 112 } else { 227 };
const RB_AUTOBOOT: c_int = 0x0123_4567;
const EEXIST: i32 = 17;
const NINE_P: &str = "trans=virtio,version=9p2000.L,msize=512000";

unsafe extern "C" {
    fn mount(from: *const c_char, to: *const c_char, kind: *const c_char, flags: c_ulong, data: *const c_char)
    -> c_int;
    fn chroot(path: *const c_char) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
    fn reboot(how: c_int) -> c_int;
    fn sync();
}

fn main() {
    if let Err(error) = work() {
        say(&format!("FATAL {error}"));
    }
    // SAFETY: neither call takes a pointer. QEMU runs with -no-reboot, so a reboot ends it.
    unsafe {
        sync();
        reboot(RB_AUTOBOOT);
    }
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}

fn work() -> Result<()> {
    for (kind, to) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")] {
        attach("none", to, kind, 0, "")?;
    }
    load_modules()?;
    let mut status = port("status", true)?;
    let mut orders = port("go", false)?;
    status.write_all(b"ready\n")?;
    let orders = Orders::wait(&mut orders)?;
    set_clock(&orders)?;
    enter_host_files(&orders)?;
    let ended = run(&orders.get("command")?)?;
    let code = ended.code().unwrap_or_else(|| 128 + ended.signal().unwrap_or(0));
    status.write_all(format!("status {code}\n").as_bytes())?;
    Ok(())
}

/// What `vm/run` wants: lines of a key and a value, and "end".
struct Orders(String);

impl Orders {
    fn wait(port: &mut File) -> Result<Self> {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        while !text.ends_with(b"\nend\n") {
            match port.read(&mut buffer)? {
                0 => thread::sleep(Duration::from_millis(1)),
                length => text.extend_from_slice(&buffer[..length]),
            }
        }
        Ok(Self(String::from_utf8(text)?))
    }

    fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix(' '))
    }

    fn get(&self, key: &str) -> Result<String> {
        Ok(self.all(key).next().ok_or_else(|| format!("no '{key}' in the orders"))?.to_owned())
    }
}

/// Loads what mkinitramfs.py put into /m, in its order.
fn load_modules() -> Result<()> {
    for name in fs::read_to_string("/m/list")?.split_whitespace() {
        let (image, no_options) = (fs::read(format!("/m/{name}"))?, c"");
        // SAFETY: the image's pointer and length belong together, the options are a C string; both outlive the call.
        let result = unsafe { syscall(SYS_INIT_MODULE, image.as_ptr(), image.len(), no_options.as_ptr()) };
        let error = io::Error::last_os_error();
        if result != 0 && error.raw_os_error() != Some(EEXIST) {
            say(&format!("module {name}: {error}"));
        }
    }
    Ok(())
}

/// Opens a virtio-serial port by its name; its device number is not fixed, and it may come a little later.
fn port(name: &str, write: bool) -> Result<File> {
    for _ in 0..400 {
        for entry in fs::read_dir("/sys/class/virtio-ports").into_iter().flatten().flatten() {
            if fs::read_to_string(entry.path().join("name")).is_ok_and(|found| found.trim() == name) {
                let device = format!("/dev/{}", entry.file_name().to_string_lossy());
                return Ok(OpenOptions::new().read(!write).write(write).open(device)?);
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
    Err(format!("no virtio port named {name}").into())
}

/// The snapshot's clock stands where it was taken.
fn set_clock(orders: &Orders) -> Result<()> {
    let time: [i64; 2] = [orders.get("time")?.parse()?, 0];
    // SAFETY: the pointer is to two 64-bit words, which is what a timespec is.
    unsafe { syscall(SYS_CLOCK_SETTIME, 0 as c_long, time.as_ptr()) };
    Ok(())
}

/// The host's files, read-only, under a tmpfs that takes what is written, become the root. On a machine of another kind, its
/// programs lie over the host's.
fn enter_host_files(orders: &Orders) -> Result<()> {
    attach("root", "/ro", "9p", MS_RDONLY | MS_NOATIME, &format!("{NINE_P},cache=loose"))?;
    attach("rw", "/rw", "tmpfs", 0, "size=50%")?;
    fs::create_dir_all("/rw/upper")?;
    fs::create_dir_all("/rw/work")?;
    let mut below = "/ro";
    if orders.all("programs").next().is_some() {
        attach("programs", "/programs", "9p", MS_RDONLY | MS_NOATIME, &format!("{NINE_P},cache=loose"))?;
        below = "/programs:/ro";
    }
    let layers = format!(
        "lowerdir={below},upperdir=/rw/upper,workdir=/rw/work,index=off,xino=off,redirect_dir=off,metacopy=off"
    );
    attach("root", "/new", "overlay", MS_NOATIME, &layers)?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let modules = format!("/new/usr/lib/modules/{}", release.trim());
    attach(&format!("/ro{}", orders.get("modules")?), &modules, "", MS_BIND, "")?;
    for directory in orders.all("share") {
        attach("share", &format!("/new{directory}"), "9p", 0, &format!("{NINE_P},cache=none"))?;
    }
    for directory in ["/dev", "/proc", "/sys"] {
        attach(directory, &format!("/new{directory}"), "", MS_MOVE, "")?;
    }
    become_root("/new")?;
    attach("none", "/", "", MS_REC | MS_PRIVATE, "")?;
    mount_the_rest()
}

fn mount_the_rest() -> Result<()> {
    attach("devpts", "/dev/pts", "devpts", 0, "mode=620,ptmxmode=666")?;
    for (kind, to) in [
        ("tmpfs", "/dev/shm"),
        ("tmpfs", "/run"),
        ("cgroup2", "/sys/fs/cgroup"),
        ("bpf", "/sys/fs/bpf"),
        ("tracefs", "/sys/kernel/tracing"),
    ] {
        attach("none", to, kind, 0, "")?;
    }
    std::os::unix::fs::symlink("/proc/self/fd", "/dev/fd")?;
    fs::write("/proc/sys/kernel/printk", "3 4 1 7")?;
    fs::write("/proc/sys/net/core/bpf_jit_enable", "1")?;
    Ok(())
}

fn become_root(path: &str) -> Result<()> {
    std::env::set_current_dir(path)?;
    attach(".", "/", "", MS_MOVE, "")?;
    // SAFETY: the path is a C string.
    if unsafe { chroot(c".".as_ptr()) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(std::env::set_current_dir("/")?)
}

/// Runs the command with its output copied to the ports: a port cannot be opened twice, and a script may want to.
fn run(script: &str) -> Result<ExitStatus> {
    let (out, out_end) = io::pipe()?;
    let (err, err_end) = io::pipe()?;
    let copiers = [copy(out, port("out", true)?), copy(err, port("err", true)?)];
    let mut command = Command::new("/bin/bash");
    command.arg(script).env_clear().env("HOME", "/root").env("TERM", "linux").env("LANG", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(out_end).stderr(err_end);
    let ended = command.status()?;
    // The command holds the pipes' ends; without it the copiers see the end, unless something was left running.
    drop(command);
    for copier in copiers {
        for _ in 0..200 {
            if copier.is_finished() {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(ended)
}

fn copy(from: io::PipeReader, to: File) -> JoinHandle<()> {
    thread::spawn(move || {
        if let Err(error) = copy_all(from, to) {
            say(&format!("output: {error}"));
        }
    })
}

/// By hand, because `io::copy` would splice, and into a port that loses the bytes.
fn copy_all(mut from: io::PipeReader, mut to: File) -> io::Result<()> {
    let mut buffer = [0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            length => to.write_all(&buffer[..length])?,
        }
    }
}

fn attach(from: &str, to: &str, kind: &str, flags: c_ulong, data: &str) -> Result<()> {
    if to != "/" {
        fs::create_dir_all(to)?;
    }
    let [source, target, filesystem, options] = [from, to, kind, data].map(CString::new);
    let (source, target, filesystem, options) = (source?, target?, filesystem?, options?);
    // SAFETY: four C strings that outlive the call.
    let result = unsafe { mount(source.as_ptr(), target.as_ptr(), filesystem.as_ptr(), flags, options.as_ptr()) };
    if result == 0 {
        Ok(())
    } else {
        Err(format!("mount {kind} {from} on {to}: {}", io::Error::last_os_error()).into())
    }
}

fn say(text: &str) {
    match OpenOptions::new().write(true).open("/dev/kmsg") {
        Ok(mut log) => drop(log.write_all(format!("<2>init: {text}\n").as_bytes())),
        Err(_) => eprintln!("init: {text}"),
    }
}
