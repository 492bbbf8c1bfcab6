//! Pulling a component by digest.

use std::io;
use std::path::{Path, PathBuf};

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, DownloadFromContainerOptionsBuilder,
};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::cache::Draft;
use super::error::{Doing as _, StepError};
use super::images::{self, Leftovers};
use super::model::Registry;
use super::pins::Pins;
use super::plan::Planned;
use super::progress::Log;
use super::recipe::blocking;
use super::reference::Reference;

/// What a pull needs to know.
pub(super) struct Pull<'a> {
    pub(super) docker: &'a Docker,
    pub(super) planned: &'a Planned<'a>,
    pub(super) registry: &'a Registry,
    pub(super) pins: &'a Pins,
    pub(super) mirror: Option<&'a str>,
    pub(super) arch: &'a str,
    pub(super) draft: &'a Draft,
    pub(super) leftovers: &'a Leftovers,
    pub(super) log: &'a Log<'a>,
}

impl Pull<'_> {
    /// Pulls the component and gives the digest by which that was done.
    pub(super) async fn run(&self) -> Result<String, StepError> {
        let reference = Reference::parse(&self.registry.reference);
        let repository = reference.repository(self.mirror);
        let digest = match self.pins.digest(self.registry) {
            Some(digest) => digest.to_owned(),
            None => self.ask(&format!("{repository}:{}", reference.tag)).await?,
        };
        let name = format!("{repository}@{digest}");
        if images::find(self.docker, &name).await.doing(|| format!("look for {name}"))?.is_none() {
            // The user may have had it before; else only the lab's own name of it stays.
            self.leftovers.name(&name);
        }
        self.fetch(&repository, &digest).await?;
        if self.registry.files.is_empty() {
            images::tag(self.docker, &name, &self.planned.image()).await?;
        } else {
            self.copy_files(&name).await?;
        }
        Ok(digest)
    }

    /// Pulling by tag would move the user's own tag; so the digest is asked for first, and that is pulled.
    async fn ask(&self, tagged: &str) -> Result<String, StepError> {
        self.log.line(&format!("asking for the digest of {tagged}"));
        let found = self.docker.inspect_registry_image(tagged, None).await.doing(|| format!("find {tagged}"))?;
        let digest = found.descriptor.digest.ok_or_else(|| {
            StepError::unusable(format!("the registry names no digest for {tagged}"), "is it an OCI registry?")
        })?;
        self.log.line(&format!("{tagged} has no pinned digest; today it is {digest}"));
        Ok(digest)
    }

    async fn fetch(&self, repository: &str, digest: &str) -> Result<(), StepError> {
        self.log.line(&format!("pulling {repository}@{digest}"));
        let platform = format!("linux/{}", self.arch);
        let options =
            CreateImageOptionsBuilder::default().from_image(repository).tag(digest).platform(&platform).build();
        let mut messages = std::pin::pin!(self.docker.create_image(Some(options), None, None));
        let mut last = String::new();
        while let Some(message) = messages.next().await {
            let message = message.doing(|| format!("pull {repository}@{digest}"))?;
            let line = format!("{} {}", message.id.unwrap_or_default(), message.status.unwrap_or_default());
            // Progress repeats itself many times a second.
            if line != last {
                self.log.line(line.trim());
                last = line;
            }
        }
        Ok(())
    }

    /// Copies files out of a container that is never started.
    async fn copy_files(&self, image: &str) -> Result<(), StepError> {
        let config = ContainerCreateBody {
            image: Some(image.to_owned()),
            // An image without a command needs one to be created from; it is never run.
            cmd: Some(vec!["never-run".to_owned()]),
            ..Default::default()
        };
        let container = images::build_container(&self.planned.slug());
        let options = CreateContainerOptionsBuilder::default().name(&container).build();
        let created = self.docker.create_container(Some(options), config).await;
        created.doing(|| format!("create a container of {image}"))?;
        for (output, path) in &self.registry.files {
            self.log.line(&format!("copying {path} as {output}"));
            let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
            let stream = self.docker.download_from_container(&container, Some(options)).map_err(io::Error::other);
            let reader = SyncIoBridge::new(StreamReader::new(Box::pin(stream)));
            let target = self.draft.output(output);
            let scratch = self.draft.scratch()?.join("copied");
            blocking(move || unpack(reader, &scratch, &target)).await?;
        }
        Ok(())
    }
}

/// Unpacks an archive of one file or folder and gives that the target's name.
fn unpack(from: impl io::Read, scratch: &Path, target: &Path) -> io::Result<()> {
    if scratch.exists() {
        fs_err::remove_dir_all(scratch)?;
    }
    fs_err::create_dir_all(scratch)?;
    tar::Archive::new(from).unpack(scratch)?;
    let tops: Vec<PathBuf> = fs_err::read_dir(scratch)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    let [top] = tops.as_slice() else {
        return Err(io::Error::other(format!(
            "the engine sent {} things instead of one for {}",
            tops.len(),
            target.display()
        )));
    };
    if fs_err::symlink_metadata(top)?.is_symlink() {
        return Err(io::Error::other(format!(
            "what was to become {} is a symbolic link in the image",
            target.display()
        )));
    }
    if let Some(parent) = target.parent() {
        fs_err::create_dir_all(parent)?;
    }
    fs_err::rename(top, target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        build(&mut tar);
        tar.into_inner().unwrap()
    }

    fn file(tar: &mut tar::Builder<Vec<u8>>, path: &str, content: &str) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, content.as_bytes()).unwrap();
    }

    #[test]
    fn one_file_or_folder_takes_the_outputs_name() {
        let folder = tempfile::tempdir().unwrap();
        let (scratch, flux, data) =
            (folder.path().join("scratch"), folder.path().join("out/flux-cli"), folder.path().join("out/data"));
        unpack(archive(|tar| file(tar, "flux", "binary")).as_slice(), &scratch, &flux).unwrap();
        unpack(archive(|tar| file(tar, "config/a/b", "b")).as_slice(), &scratch, &data).unwrap();
        assert_eq!(fs_err::read(flux).unwrap(), b"binary");
        assert_eq!(fs_err::read(data.join("a/b")).unwrap(), b"b");
    }

    #[test]
    fn anything_else_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let unpack = |archive: Vec<u8>| {
            let target = folder.path().join("flux");
            unpack(archive.as_slice(), &folder.path().join("scratch"), &target).unwrap_err().to_string()
        };
        let two = unpack(archive(|tar| {
            file(tar, "a", "");
            file(tar, "b", "");
        }));
        assert!(two.starts_with("the engine sent 2 things instead of one"), "{two}");
        let link = unpack(archive(|tar| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, "flux", "/bin/other").unwrap();
        }));
        assert!(link.ends_with("is a symbolic link in the image"), "{link}");
    }
}
