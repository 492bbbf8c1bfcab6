//! Are the programs there that a source build runs?

use crate::doctor::{Check, Context, Outcome};

/// What building from source runs on this machine: program and Debian package.
const PROGRAMS: [(&str, &str); 5] = [
    ("debootstrap", "debootstrap"),
    ("unshare", "util-linux"),
    ("tar", "tar"),
    ("python3", "python3"),
    // Toolchains newer than the distribution's come as Python packages.
    ("pip3", "python3-pip"),
];

/// See [`Check::why`].
#[derive(Debug)]
pub struct Packages;

impl Check for Packages {
    fn name(&self) -> &'static str {
        "packages"
    }

    fn why(&self) -> &'static str {
        "base images are assembled from Debian packages where image registries cannot be reached"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        if !cx.builds() {
            return Outcome::skip("nothing is built from source");
        }
        let machine = cx.machine;
        if machine.os() != "linux" {
            return Outcome::fail(format!("images cannot be built from source on {}", machine.os()))
                .remedy("pull them: --images registry, with --mirror HOST behind one");
        }
        let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| !machine.has(program)).collect();
        if !missing.is_empty() {
            let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
            let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
            let outcome = Outcome::fail(format!("not installed: {}", programs.join(", ")));
            let command = format!("apt-get install --no-install-recommends {}", packages.join(" "));
            return if machine.debian_like() {
                outcome.remedy_by("install what is missing", machine.as_root(&command)).fixes(cx.packages(&PROGRAMS))
            } else {
                outcome.remedy("install what is missing with this system's package manager")
            };
        }
        if !machine.root() {
            return Outcome::fail("debootstrap needs root, and this user is not")
                .remedy("run as root, or pull the images: --images registry, with --mirror HOST behind one");
        }
        Outcome::ok(PROGRAMS.map(|(program, _)| program).join(", "))
    }
}
