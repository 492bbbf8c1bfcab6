//! Files into and out of containers, as the tar archives that the engine's API speaks.

use std::fmt;
use std::io::Read;

use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use futures::TryStreamExt;

use super::{ContainerError, ContainerRef};

/// A file to be, owned by root.
#[derive(Clone)]
pub struct File {
    /// Absolute path in the container. Missing folders are made.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// What it holds; never shown by `Debug`.
    pub content: Vec<u8>,
}

impl File {
    /// A file that everyone in the container may read.
    pub fn public(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode: 0o644, content: content.into() }
    }

    /// A file that root alone may read.
    pub fn private(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { mode: 0o600, ..Self::public(path, content) }
    }

    /// A program.
    pub fn program(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { mode: 0o755, ..Self::public(path, content) }
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({} {:o}, {} bytes)", self.path, self.mode, self.content.len())
    }
}

impl ContainerRef {
    /// Writes files into the container, running or not.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn upload(&self, files: &[File]) -> Result<(), ContainerError> {
        let archive = pack(files).map_err(|(path, source)| self.copy_error(path, "to", source))?;
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        self.docker
            .upload_to_container(&self.name, Some(options), bollard::body_full(archive.into()))
            .await
            .map_err(|source| self.error("copy files to", source))
    }

    /// The content of one file in the container, running or not. Symbolic links are not followed.
    ///
    /// # Errors
    /// When there is no such file, or the engine refuses.
    pub async fn download(&self, path: &str) -> Result<Vec<u8>, ContainerError> {
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let chunks: Vec<_> = self
            .docker
            .download_from_container(&self.name, Some(options))
            .try_collect()
            .await
            .map_err(|source| self.error("copy files from", source))?;
        unpack(&chunks.concat()).map_err(|source| self.copy_error(path.into(), "from", source))
    }

    fn copy_error(&self, path: String, direction: &'static str, source: std::io::Error) -> ContainerError {
        ContainerError::Copy { path, direction, container: self.name.clone(), source }
    }
}

fn pack(files: &[File]) -> Result<Vec<u8>, (String, std::io::Error)> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(file.mode);
        header.set_size(file.content.len() as u64);
        archive
            .append_data(&mut header, file.path.trim_start_matches('/'), file.content.as_slice())
            .map_err(|error| (file.path.clone(), error))?;
    }
    archive.into_inner().map_err(|error| ("archive".into(), error))
}

fn unpack(archive: &[u8]) -> std::io::Result<Vec<u8>> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            return Ok(content);
        }
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "not a regular file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks() {
        let archive = pack(&[File::private("/etc/ferry/htpasswd", "flux:hash")]).unwrap();
        assert_eq!(unpack(&archive).unwrap(), b"flux:hash");
        let mut archive = tar::Archive::new(archive.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.header().mode().unwrap(), 0o600);
        assert_eq!(entry.path().unwrap().to_str(), Some("etc/ferry/htpasswd"));
    }

    #[test]
    fn a_folder_is_not_a_file() {
        let archive = tar::Builder::new(Vec::new()).into_inner().unwrap();
        assert!(unpack(&archive).is_err());
    }

    #[test]
    fn content_stays_out_of_debug_output() {
        assert_eq!(format!("{:?}", File::private("/key", "secret")), "File(/key 600, 6 bytes)");
    }
}
