//! What the guests boot: Debian's kernel, and a file system with its drbd module, this machine's tools and our programs.

use crate::cpio::Archive;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Loaded at boot, after what they need. The kernel is one for virtual machines: a disk, cards and a port are modules too.
#[rustfmt::skip]
const MODULES: [&str; 10] = [
    "virtio_pci", "virtio_net", "virtio_blk", "virtio_console", "virtio_rng", "crc32c_generic", "ext4", "drbd", "softdog",
    "sch_netem",
];
/// The rest is busybox.
const TOOLS: [&str; 10] = [
    "/usr/sbin/drbdadm",
    "/usr/sbin/drbdsetup",
    "/usr/sbin/drbdmeta",
    "/lib/drbd/drbdadm-84",
    "/lib/drbd/drbdsetup-84",
    "/usr/bin/dash",
    "/usr/sbin/mke2fs",
    "/usr/sbin/e2fsck",
    "/usr/sbin/ip",
    "/usr/sbin/tc",
];

/// Kernel and first file system, made once for all tests of this run.
#[derive(Debug)]
pub struct Image {
    pub kernel: PathBuf,
    pub initrd: PathBuf,
}

/// The image, or why there can be none on this machine.
pub fn image() -> Result<&'static Image, &'static str> {
    static IMAGE: OnceLock<Result<Image, String>> = OnceLock::new();
    IMAGE.get_or_init(make).as_ref().map_err(String::as_str)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn make() -> Result<Image, String> {
    let find = |name: &str| {
        let dirs = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"];
        dirs.map(|d| Path::new(d).join(name)).into_iter().find(|p| p.exists())
    };
    if find("qemu-system-x86_64").is_none() {
        return Err("virtual machines: no qemu-system-x86_64 here (Debian package qemu-system-x86)".to_owned());
    }
    let kernel = root().join("target/vm/kernel");
    if !kernel.join("vmlinuz").exists() {
        return Err("virtual machines: no kernel for them (tests/vm/packages gets it)".to_owned());
    }
    for tool in TOOLS {
        if !Path::new(tool).exists() {
            return Err(format!(
                "virtual machines: no {tool} here (Debian packages drbd-utils, e2fsprogs, iproute2)"
            ));
        }
    }
    let busybox = find("busybox").ok_or("virtual machines: no busybox here (Debian package busybox-static)")?;
    let mut archive = Archive::default();
    skeleton(&mut archive);
    modules(&mut archive, &kernel)?;
    programs(&mut archive, &busybox)?;
    installation(&mut archive)?;
    let initrd = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("vm-{}.cpio", std::process::id()));
    fs::write(&initrd, archive.done()).map_err(|e| format!("{}: {e}", initrd.display()))?;
    Ok(Image {
        kernel: kernel.join("vmlinuz"),
        initrd,
    })
}

fn skeleton(archive: &mut Archive) {
    for dir in [
        "usr/bin",
        "usr/sbin",
        "usr/lib",
        "usr/lib64",
        "proc",
        "sys",
        "run",
        "mnt",
        "root",
        "etc/drbd.d",
    ] {
        archive.directory(dir, 0o755);
    }
    for dir in ["var/lib/drbd", "var/log", "var/lib/heartbeat"] {
        archive.directory(dir, 0o755);
    }
    archive.directory("tmp", 0o1777);
    for dir in ["bin", "sbin", "lib", "lib64"] {
        archive.link(dir, &format!("usr/{dir}"));
    }
    archive.link("var/run", "/run");
    archive.link("var/lock", "/run/lock");
    archive.link("etc/mtab", "/proc/mounts");
    archive.console();
    archive.file(
        "etc/passwd",
        0o644,
        b"root:x:0:0::/root:/bin/sh\nhacluster:x:90:90::/var/lib/heartbeat:/bin/false\n",
    );
    archive.file("etc/group", 0o644, b"root:x:0:\nhaclient:x:90:\n");
    archive.file(
        "etc/nsswitch.conf",
        0o644,
        b"passwd: files\ngroup: files\nhosts: files\n",
    );
    archive.file(
        "etc/hosts",
        0o644,
        b"127.0.0.1 localhost\n10.77.0.1 node1\n10.77.0.2 node2\n",
    );
    archive.file("init", 0o755, include_bytes!("guest/init"));
}

/// The modules, each after those it names as its needs.
fn modules(archive: &mut Archive, kernel: &Path) -> Result<(), String> {
    fn need(name: &str, kernel: &Path, order: &mut Vec<(String, Vec<u8>)>) -> Result<(), String> {
        let name = name.replace('-', "_");
        if order.iter().any(|(n, _)| *n == name) {
            return Ok(());
        }
        let files = [name.clone(), name.replace('_', "-")].map(|n| kernel.join(format!("{n}.ko")));
        let Some(path) = files.iter().find(|p| p.exists()) else {
            // Built in, then.
            return Ok(());
        };
        let content = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let word = b"\0depends=";
        if let Some(at) = content.windows(word.len()).position(|w| w == word) {
            let list: Vec<u8> = content[at + word.len()..]
                .iter()
                .copied()
                .take_while(|b| *b != 0)
                .collect();
            for other in String::from_utf8_lossy(&list).split(',').filter(|w| !w.is_empty()) {
                need(other, kernel, order)?;
            }
        }
        order.push((name, content));
        Ok(())
    }
    let mut order = Vec::new();
    for name in MODULES {
        need(name, kernel, &mut order)?;
    }
    let names: Vec<String> = order.iter().map(|(n, _)| format!("{n}.ko")).collect();
    archive.file("lib/modules/at-boot", 0o644, names.join("\n").as_bytes());
    if !order.iter().any(|(n, _)| n == "drbd") {
        return Err(format!(
            "virtual machines: the kernel in {} has no drbd",
            kernel.display()
        ));
    }
    for (name, content) in order {
        archive.file(&format!("lib/modules/{name}.ko"), 0o644, &content);
    }
    Ok(())
}

/// The shared objects of a program of this machine, the loader included.
fn libraries(program: &Path) -> Vec<String> {
    let told = Command::new("ldd").arg(program).output();
    let text = told
        .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
        .unwrap_or_default();
    let path = |line: &str| {
        let (before, _) = line.split_once(" (0x")?;
        let path = before.rsplit(' ').next()?.trim();
        path.starts_with('/').then(|| path.to_owned())
    };
    text.lines().filter_map(path).collect()
}

fn add_program(archive: &mut Archive, host: &Path, guest: &str, libs: &mut BTreeSet<String>) -> Result<(), String> {
    let content = fs::read(host).map_err(|e| format!("{}: {e}", host.display()))?;
    archive.file(guest, 0o755, &content);
    for lib in libraries(host) {
        if libs.insert(lib.clone()) {
            let content = fs::read(&lib).map_err(|e| format!("{lib}: {e}"))?;
            archive.file(&lib, 0o755, &content);
        }
    }
    Ok(())
}

fn programs(archive: &mut Archive, busybox: &Path) -> Result<(), String> {
    let mut libs = BTreeSet::new();
    let mut have = BTreeSet::from(["busybox".to_owned(), "init".to_owned(), "sh".to_owned()]);
    add_program(archive, busybox, "usr/bin/busybox", &mut libs)?;
    for tool in TOOLS {
        add_program(archive, Path::new(tool), tool, &mut libs)?;
        have.extend(tool.rsplit('/').next().map(str::to_owned));
    }
    // Ours are linked alike: what one of them needs all of them find.
    for lib in libraries(Path::new(env!("CARGO_BIN_EXE_heartbeat"))) {
        if libs.insert(lib.clone()) {
            archive.file(&lib, 0o755, &fs::read(&lib).map_err(|e| format!("{lib}: {e}"))?);
        }
    }
    // Not that of busybox, which prefers its own `ip` and `tc`.
    archive.link("usr/bin/sh", "dash");
    for name in ["mkfs.ext4", "fsck.ext4"] {
        archive.link(
            &format!("usr/sbin/{name}"),
            if name.starts_with("mk") { "mke2fs" } else { "e2fsck" },
        );
        have.insert(name.to_owned());
    }
    let list = Command::new(busybox)
        .arg("--list")
        .output()
        .map_err(|e| format!("busybox: {e}"))?;
    for applet in String::from_utf8_lossy(&list.stdout).lines() {
        if !have.contains(applet) {
            archive.link(&format!("usr/bin/{applet}"), "busybox");
        }
    }
    for file in ["/etc/drbd.conf", "/etc/mke2fs.conf"] {
        if Path::new(file).exists() {
            archive.tree(Path::new(file), file)?;
        }
    }
    archive.file("etc/drbd.d/global_common.conf", 0o644, b"global { usage-count no; }\n");
    // Tables of netem's distributions.
    if Path::new("/usr/lib/tc").exists() {
        archive.tree(Path::new("/usr/lib/tc"), "/usr/lib/tc")?;
    }
    Ok(())
}

/// What `install.sh` makes of a machine, except pages and documents.
fn installation(archive: &mut Archive) -> Result<(), String> {
    let stage = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("vm-{}.root", std::process::id()));
    let from = Path::new(env!("CARGO_BIN_EXE_heartbeat"))
        .parent()
        .expect("a program is in a directory");
    let done = Command::new(root().join("init/install.sh"))
        .arg("--from")
        .arg(from)
        .env("DESTDIR", &stage)
        .output()
        .map_err(|e| format!("install.sh: {e}"))?;
    if !done.status.success() {
        return Err(format!("install.sh: {}", String::from_utf8_lossy(&done.stderr)));
    }
    let _ = fs::remove_dir_all(stage.join("usr/share"));
    // What no test here runs would fill the memory of the guests.
    let lib = stage.join("usr/lib/heartbeat");
    for entry in fs::read_dir(&lib)
        .map_err(|e| format!("{}: {e}", lib.display()))?
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("crm") || ["cibadmin", "attrd_updater", "lrmd", "hb_lab"].contains(&name.as_str()) {
            let _ = fs::remove_file(entry.path());
        }
    }
    let added = archive.tree(&stage, "");
    let _ = fs::remove_dir_all(&stage);
    added
}
