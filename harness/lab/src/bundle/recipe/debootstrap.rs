//! A Debian root file system as an image.

use std::path::Path;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::TryStreamExt as _;
use tokio_util::io::ReaderStream;

use super::super::error::{Doing as _, StepError};
use super::super::images::{COMPONENT_LABEL, KEY_LABEL};
use super::super::model::DebootstrapRecipe;
use super::super::process::{self, run};
use super::{Site, first_line};

/// What nobody needs in an image, and what would make two builds of it differ.
const UNNEEDED: [&str; 7] = [
    "var/cache/apt/archives",
    "var/lib/apt/lists",
    "var/log",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "debootstrap",
];

/// Makes the root file system and imports it.
pub(super) async fn build(site: &Site<'_>, recipe: &DebootstrapRecipe) -> Result<(), StepError> {
    let scratch = site.draft.scratch()?;
    let root = scratch.join("rootfs");
    // debootstrap mounts /proc and /sys; in a mount namespace of its own they go with it, however it ends.
    let mut debootstrap = process::command("unshare");
    debootstrap.args(["--mount", "--propagation", "private", "debootstrap", "--variant=minbase"]);
    debootstrap.arg(format!("--arch={}", site.around.arch));
    if !recipe.packages.is_empty() {
        debootstrap.arg(format!("--include={}", recipe.packages.join(",")));
    }
    debootstrap.arg(&recipe.suite).arg(&root).env("DEBIAN_FRONTEND", "noninteractive");
    // Without one, debootstrap takes Debian's own.
    debootstrap.args(host_mirror(&recipe.suite, Path::new("/etc/apt")));
    // debootstrap asks apt only for a proxy that finds itself, not for one that is set.
    let proxy = first_line("apt-config", &["dump", "--format", "%v%n", "Acquire::http::Proxy"]).await;
    if let Some(proxy) = proxy.filter(|_| std::env::var_os("http_proxy").is_none()) {
        debootstrap.env("http_proxy", proxy);
    }
    run(&mut debootstrap, site.log).await?;
    for folder in UNNEEDED {
        empty(&root.join(folder))?;
    }
    import(site, &root).await
}

/// Empties a folder but keeps it: packages expect their folders.
fn empty(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        fs_err::remove_dir_all(folder)?;
        fs_err::create_dir_all(folder)?;
    }
    Ok(())
}

/// `tar` rather than a library: it knows device nodes, capabilities and hard links, and runs wherever debootstrap does.
async fn import(site: &Site<'_>, root: &Path) -> Result<(), StepError> {
    let archive = root.with_extension("tar");
    let mut tar = process::command("tar");
    tar.args(["--numeric-owner", "--xattrs", "--sort=name", "-C"]).arg(root).arg("-cf").arg(&archive).arg(".");
    run(&mut tar, site.log).await?;
    let file = fs_err::tokio::File::open(&archive).await?;
    let image = site.planned.image();
    let (repo, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
    let label = |name: &str, value: &str| format!("LABEL {name}={value}");
    let changes = vec![
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        "CMD [\"/bin/sh\"]".to_owned(),
        label(COMPONENT_LABEL, site.planned.name),
        label(KEY_LABEL, site.planned.key.as_str()),
    ];
    let options = CreateImageOptionsBuilder::default().from_src("-").repo(repo).tag(tag).changes(changes).build();
    let body = bollard::body_try_stream(ReaderStream::with_capacity(file, 1 << 16));
    let import = site.docker.create_image(Some(options), Some(body), None);
    import.try_for_each(|_| async { Ok(()) }).await.doing(|| format!("import {image}"))
}

/// The mirror from which this machine's own packages of that release come, if they come from any.
fn host_mirror(suite: &str, apt: &Path) -> Option<String> {
    let mut files = vec![apt.join("sources.list")];
    if let Ok(folder) = fs_err::read_dir(apt.join("sources.list.d")) {
        let mut found: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
        found.sort();
        files.extend(found);
    }
    let texts = files.iter().filter_map(|file| fs_err::read_to_string(file).ok());
    texts.filter_map(|text| mirror_in(&text, suite)).next()
}

/// The mirror of a release in one file of apt sources, in the one-line or the deb822 form.
fn mirror_in(text: &str, suite: &str) -> Option<String> {
    let one_line = text.lines().find_map(|line| {
        let words: Vec<&str> =
            line.strip_prefix("deb ")?.split_whitespace().skip_while(|word| word.starts_with('[')).collect();
        (words.get(1) == Some(&suite)).then(|| words[0].to_owned())
    });
    let stanza = |stanza: &str| {
        let field = |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let types_fit = field("Types")?.split_whitespace().any(|kind| kind == "deb");
        let suite_fits = field("Suites")?.split_whitespace().any(|named| named == suite);
        (types_fit && suite_fits).then(|| field("URIs")?.split_whitespace().next().map(str::to_owned))?
    };
    one_line.or_else(|| text.split("\n\n").find_map(stanza))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one_line("deb http://mirror/debian bookworm main\n", Some("http://mirror/debian"))]
    #[case::options("deb [arch=amd64] http://mirror/debian bookworm main\n", Some("http://mirror/debian"))]
    #[case::source_packages("deb-src http://mirror/debian bookworm main\n", None)]
    #[case::another_release("deb http://mirror/debian trixie main\n", None)]
    #[case::security("deb http://mirror/debian-security bookworm-security main\n", None)]
    #[case::deb822(
        "Types: deb\n# was elsewhere\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\nComponents: main\n",
        Some("http://mirror/debian")
    )]
    #[case::second_stanza(
        "Types: deb\nURIs: http://other\nSuites: nodistro\n\nTypes: deb\nURIs: http://mirror/debian\nSuites: bookworm\n",
        Some("http://mirror/debian")
    )]
    fn mirrors(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(mirror_in(text, "bookworm").as_deref(), expected);
    }

    #[test]
    fn without_apt_there_is_none() {
        assert_eq!(host_mirror("bookworm", Path::new("/absent")), None);
    }
}
