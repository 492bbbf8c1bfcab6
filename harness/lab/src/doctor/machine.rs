//! The machine as the checks see it, so that they can be tested on machines that do not exist.

use std::{
    fmt::Debug,
    io::{self, Read},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

use jiff::Timestamp;

/// What a check may ask of this machine. Nothing here changes anything.
pub trait Machine: Debug + Send + Sync {
    /// `linux`, `macos`, …, as [`std::env::consts::OS`].
    fn os(&self) -> &str;
    /// The content of a text file.
    fn read(&self, path: &str) -> io::Result<String>;
    /// Whether something is at `path`.
    fn exists(&self, path: &str) -> bool;
    /// Whether a program of this name can be found, and where.
    fn program(&self, name: &str) -> Option<PathBuf>;
    /// What a program prints when it is run with these arguments.
    fn output(&self, program: &str, args: &[&str]) -> io::Result<String>;
    /// The space on the file system that holds `path`, or will once it is made.
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// Whether this process is root.
    fn root(&self) -> bool;
    /// Tries to listen on a port of 127.0.0.1 and stops at once. Port 0 is any free one.
    fn listen(&self, port: u16) -> io::Result<()>;
    /// The process that listens on a port of this machine, as far as this user may know.
    fn listener(&self, port: u16) -> Option<String>;
    /// The options the kernel was built with, in the form of a `.config`, where it can be read.
    fn kernel_config(&self) -> Option<String>;
    /// The time of day.
    fn now(&self) -> Timestamp;

    /// Whether `program` finds something.
    fn has(&self, name: &str) -> bool {
        self.program(name).is_some()
    }

    /// A number in a file of its own, as sysctls are.
    fn number(&self, path: &str) -> Option<u64> {
        self.read(path).ok()?.trim().parse().ok()
    }

    /// A field of /etc/os-release, without quotes.
    fn os_release(&self, field: &str) -> Option<String> {
        let text = self.read("/etc/os-release").ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix('='))?;
        Some(value.trim_matches('"').to_owned())
    }

    /// Whether this is Debian or a child of it, such as Ubuntu.
    fn debian_like(&self) -> bool {
        let ids = [self.os_release("ID"), self.os_release("ID_LIKE")];
        self.os() == "linux" && ids.iter().flatten().any(|ids| ids.split(' ').any(|id| id == "debian"))
    }

    /// Whether provisioning may act here: Debian or a child of it, and root.
    fn provisionable(&self) -> bool {
        self.debian_like() && self.root()
    }

    /// `command`, with `sudo` in front where this user is not root.
    fn as_root(&self, command: &str) -> String {
        if self.root() { command.into() } else { format!("sudo {command}") }
    }
}

/// Space on one file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user may still write.
    pub free_bytes: u64,
    /// Tells file systems apart.
    pub file_system: u64,
}

/// The machine that this process runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host;

impl Machine for Host {
    fn os(&self) -> &str {
        std::env::consts::OS
    }

    fn read(&self, path: &str) -> io::Result<String> {
        fs_err::read_to_string(path)
    }

    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        // Daemons and firewall tools are in folders that are not on an ordinary user's PATH.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
        folders.map(|folder| folder.join(name)).find(|path| path.is_file())
    }

    fn output(&self, program: &str, args: &[&str]) -> io::Result<String> {
        let output = Command::new(program).args(args).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(io::Error::other(format!(
            "{program}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let existing = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let stat = nix::sys::statvfs::statvfs(existing)?;
        // The widths of these fields differ between platforms.
        #[allow(clippy::unnecessary_cast)]
        Ok(Space {
            free_bytes: stat.blocks_available() as u64 * stat.fragment_size() as u64,
            file_system: std::os::unix::fs::MetadataExt::dev(&fs_err::metadata(existing)?),
        })
    }

    fn root(&self) -> bool {
        nix::unistd::geteuid().is_root()
    }

    fn listen(&self, port: u16) -> io::Result<()> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop)
    }

    fn listener(&self, port: u16) -> Option<String> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| self.read(path).unwrap_or_default());
        let inode = tables.iter().find_map(|table| listening_inode(table, port))?;
        let socket = PathBuf::from(format!("socket:[{inode}]"));
        let holds = |process: &fs_err::DirEntry| {
            let open = fs_err::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
            open.into_iter().any(|fd| fs_err::read_link(fd.path()).is_ok_and(|target| target == socket))
        };
        let processes = fs_err::read_dir("/proc").ok()?.flatten();
        // /proc/self and /proc/thread-self are processes a second time.
        let mut numbered = processes.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
        let process = numbered.find(holds)?;
        let name = fs_err::read_to_string(process.path().join("comm")).ok()?;
        Some(format!("{} (process {})", name.trim(), process.file_name().display()))
    }

    fn kernel_config(&self) -> Option<String> {
        if let Ok(file) = fs_err::File::open("/proc/config.gz") {
            let mut text = String::new();
            return flate2::read::GzDecoder::new(file).read_to_string(&mut text).ok().map(|_| text);
        }
        let release = self.read("/proc/sys/kernel/osrelease").ok()?;
        let release = release.trim();
        [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")]
            .iter()
            .find_map(|path| self.read(path).ok())
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The inode of the socket that listens on `port`, from the text of /proc/net/tcp or tcp6.
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    // Columns: sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode. State 0A is LISTEN.
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        (u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == "0A")
            .then(|| fields.get(9)?.parse().ok())?
    })
}

#[cfg(test)]
pub(crate) mod fake {
    //! A machine made of tables.

    use std::collections::BTreeMap;

    use super::*;

    /// The default is an empty Linux machine that can do nothing.
    #[derive(Debug, Clone)]
    pub(crate) struct FakeMachine {
        pub os: &'static str,
        pub files: BTreeMap<String, String>,
        pub programs: BTreeMap<String, String>,
        pub outputs: BTreeMap<String, String>,
        pub spaces: BTreeMap<PathBuf, Space>,
        pub root: bool,
        pub taken: BTreeMap<u16, Option<String>>,
        pub config: Option<String>,
        pub now: Timestamp,
    }

    impl FakeMachine {
        /// A Debian machine of root's on which a cluster can run: cgroup v2, all capabilities, no engine wanted or installed.
        pub fn debian() -> Self {
            let space = |gib: u64| Space { free_bytes: gib << 30, file_system: 1 };
            let machine = Self {
                os: "linux",
                files: BTreeMap::new(),
                programs: BTreeMap::new(),
                outputs: BTreeMap::new(),
                spaces: BTreeMap::from([("/cache".into(), space(66)), ("/var/lib/docker".into(), space(66))]),
                root: true,
                taken: BTreeMap::new(),
                config: Some(
                    "OVERLAY_FS VETH BRIDGE BRIDGE_NETFILTER NF_CONNTRACK NF_NAT NF_TABLES IP_NF_IPTABLES"
                        .split(' ')
                        .map(|option| format!("CONFIG_{option}=y\n"))
                        .collect(),
                ),
                now: "2026-11-21T08:00:00Z".parse().unwrap(),
            };
            machine
                .file(
                    "/etc/os-release",
                    "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n",
                )
                .file("/proc/self/status", "Name:\tferry\nCapBnd:\t000001ffffffffff\n")
                .file("/proc/sys/kernel/cap_last_cap", "40\n")
                .file("/proc/sys/kernel/osrelease", "6.18.44\n")
                .file("/proc/meminfo", "MemTotal:       24684092 kB\nMemAvailable:   23768340 kB\n")
                .file("/proc/sys/fs/inotify/max_user_watches", "524288\n")
                .file("/proc/sys/fs/inotify/max_user_instances", "512\n")
                .file("/proc/filesystems", "nodev\toverlay\n")
                .file("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
                .file("/lib/modules", "")
        }

        pub fn file(mut self, path: &str, content: &str) -> Self {
            self.files.insert(path.into(), content.into());
            self
        }

        pub fn without(mut self, path: &str) -> Self {
            self.files.remove(path);
            self
        }

        pub fn with_program(mut self, name: &str) -> Self {
            self.programs.insert(name.into(), format!("/usr/bin/{name}"));
            self
        }

        pub fn with_output(mut self, command: &str, output: &str) -> Self {
            self.outputs.insert(command.into(), output.into());
            self
        }

        pub fn user(mut self) -> Self {
            self.root = false;
            self
        }
    }

    impl Machine for FakeMachine {
        fn os(&self) -> &str {
            self.os
        }

        fn read(&self, path: &str) -> io::Result<String> {
            self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn exists(&self, path: &str) -> bool {
            self.files.contains_key(path)
        }

        fn program(&self, name: &str) -> Option<PathBuf> {
            self.programs.get(name).map(PathBuf::from)
        }

        fn output(&self, program: &str, args: &[&str]) -> io::Result<String> {
            let command = [&[program], args].concat().join(" ");
            self.outputs.get(&command).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn space(&self, path: &Path) -> io::Result<Space> {
            self.spaces.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn root(&self) -> bool {
            self.root
        }

        fn listen(&self, port: u16) -> io::Result<()> {
            if self.taken.contains_key(&port) { Err(io::ErrorKind::AddrInUse.into()) } else { Ok(()) }
        }

        fn listener(&self, port: u16) -> Option<String> {
            self.taken.get(&port).cloned().flatten()
        }

        fn kernel_config(&self) -> Option<String> {
            self.config.clone()
        }

        fn now(&self) -> Timestamp {
            self.now
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23456 1 0000 100 0 0 10 0
   1: 0100007F:1F91 0100007F:A2B4 01 00000000:00000000 00:00000000 00000000     0        0 34567 1 0000 20 4 30 10 -1
   2: garbage
";

    #[rstest]
    #[case::listening(8080, Some(23456))]
    #[case::only_connected(8081, None)]
    #[case::nobody(22, None)]
    fn a_listener_is_found_by_its_port(#[case] port: u16, #[case] inode: Option<u64>) {
        assert_eq!(listening_inode(TABLE, port), inode);
    }

    #[test]
    fn this_process_is_named_as_the_owner_of_its_port() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(Host.listen(port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        if cfg!(target_os = "linux") {
            let owner = Host.listener(port).unwrap();
            assert!(owner.contains(&format!("(process {})", std::process::id())), "{owner}");
        }
    }

    #[rstest]
    #[case::debian("ID=debian\n", true)]
    #[case::ubuntu("ID=ubuntu\nID_LIKE=debian\n", true)]
    #[case::mint("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", true)]
    #[case::fedora("ID=fedora\n", false)]
    #[case::look_alike("ID=notdebian\n", false)]
    fn debian_and_its_children(#[case] os_release: &str, #[case] expected: bool) {
        let machine = fake::FakeMachine::debian().file("/etc/os-release", os_release);
        assert_eq!(machine.debian_like(), expected);
    }
}
