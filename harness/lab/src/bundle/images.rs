//! Images in the engine: finding, naming and moving them without touching a name that is the user's.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::error::{Doing as _, StepError};

/// The label that names the component an image was made for.
pub const COMPONENT_LABEL: &str = "ferry.flux-ferry.dev/bundle-component";

/// The label with the image's content key.
pub const KEY_LABEL: &str = "ferry.flux-ferry.dev/bundle-key";

/// What the names of build containers begin with.
pub(super) const BUILD_CONTAINER: &str = "flux-ferry-build-";

/// What the engine knows about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) bytes: u64,
    pub(super) made: Option<Timestamp>,
}

/// The image of that name, if the engine has it.
pub(super) async fn find(docker: &Docker, name: &str) -> Result<Option<Found>, Error> {
    match docker.inspect_image(name).await {
        Ok(image) => {
            let bytes = image.size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
            let made = image.created.and_then(|created| Timestamp::from_second(created.unix_timestamp()).ok());
            Ok(Some(Found { id: image.id.unwrap_or_default(), bytes, made }))
        }
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// Gives an image one more name.
pub(super) async fn tag(docker: &Docker, image: &str, name: &str) -> Result<(), StepError> {
    let (repo, tag) = split_tag(name);
    let options = TagImageOptionsBuilder::default().repo(repo).tag(tag).build();
    docker.tag_image(image, Some(options)).await.doing(|| format!("name {image} {name}"))
}

/// Takes a name away; the image goes with its last name, unless something needs it.
pub(super) async fn untag(docker: &Docker, name: &str) -> Result<(), StepError> {
    let options = RemoveImageOptionsBuilder::default().build();
    match docker.remove_image(name, Some(options), None).await {
        Err(error) if !is_not_found(&error) => Err(error).doing(|| format!("remove the name {name}")),
        _ => Ok(()),
    }
}

/// `host/path:tag` as `host/path` and `tag`.
pub(super) fn split_tag(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repo, tag)) if !tag.contains('/') => (repo, tag),
        _ => (name, "latest"),
    }
}

/// The name of the one container that making a component may use at a time. Not a label: a label would pass to the image
/// that is committed of it, and from there to the containers of clusters.
pub(super) fn build_container(slug: &str) -> String {
    format!("{BUILD_CONTAINER}{slug}")
}

/// Removes the container of that name: a build's own, or that of an interrupted one.
pub(super) async fn remove_container(docker: &Docker, name: &str) -> Result<(), Error> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match docker.remove_container(name, Some(options)).await {
        Err(error) if !is_not_found(&error) => Err(error),
        _ => Ok(()),
    }
}

/// What making a component leaves in the engine besides its image.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    names: Mutex<Vec<String>>,
    stages: Mutex<Vec<String>>,
}

impl Leftovers {
    /// Notes a name that is to be taken away again, however the making ends.
    pub(super) fn name(&self, name: &str) {
        if let Ok(mut names) = self.names.lock() {
            names.push(name.to_owned());
        }
    }

    /// Notes an image without a name that a builder keeps for its next build: the last of a stage.
    pub(super) fn stage(&self, id: &str) {
        if let Ok(mut stages) = self.stages.lock() {
            stages.push(id.to_owned());
        }
    }

    /// Takes the noted names away.
    pub(super) async fn clear(&self, docker: &Docker) -> Result<(), StepError> {
        let names = self.names.lock().map(|mut names| std::mem::take(&mut *names)).unwrap_or_default();
        for name in names {
            untag(docker, &name).await?;
        }
        Ok(())
    }

    /// The noted stages.
    pub(super) fn stages(self) -> Vec<String> {
        self.stages.into_inner().unwrap_or_default()
    }
}

/// Removes an image that has no name and that no other image is made of; tells whether it was there.
pub(super) async fn remove_nameless(docker: &Docker, id: &str) -> Result<bool, Error> {
    let image = match docker.inspect_image(id).await {
        Err(error) if is_not_found(&error) => return Ok(false),
        image => image?,
    };
    let named = |names: &Option<Vec<String>>| names.as_ref().is_some_and(|names| !names.is_empty());
    if named(&image.repo_tags) || named(&image.repo_digests) {
        return Ok(false);
    }
    match docker.remove_image(id, Some(RemoveImageOptionsBuilder::default().build()), None).await {
        // In use: by a container, or as the parent of another image.
        Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(false),
        Err(error) => Err(error),
        Ok(_) => Ok(true),
    }
}

/// Saves an image as an archive in which it has the name `name`, whatever it is called in the engine.
pub(super) async fn save_as(docker: &Docker, image: &str, name: &str, archive: PathBuf) -> Result<(), StepError> {
    let stream = docker.export_image(image).map_err(io::Error::other);
    let reader = SyncIoBridge::new(StreamReader::new(Box::pin(stream)));
    let (image, name) = (image.to_owned(), name.to_owned());
    super::recipe::blocking(move || rename_in_archive(reader, &image, &name, &archive)).await
}

/// Copies an image archive and replaces the image's name in it: in manifest.json, and in index.json, which newer engines
/// write and containerd then prefers.
fn rename_in_archive(from: impl io::Read, old: &str, new: &str, to: &Path) -> io::Result<()> {
    let (file, _) = fs_err::File::create(to)?.into_parts();
    let mut out = tar::Builder::new(io::BufWriter::new(file));
    let mut archive = tar::Archive::new(from);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let mut header = entry.header().clone();
        match path.to_str() {
            // The names of old; nothing reads it where there is a manifest.json.
            Some("repositories") => {}
            Some(file @ ("manifest.json" | "index.json")) => {
                let mut json: serde_json::Value = serde_json::from_reader(&mut entry)?;
                let renamed =
                    if file == "manifest.json" { in_manifest(&mut json, new) } else { in_index(&mut json, old, new) };
                if !renamed {
                    return Err(io::Error::other(format!("{file} of the saved {old} does not name it")));
                }
                let bytes = serde_json::to_vec(&json)?;
                header.set_size(bytes.len() as u64);
                out.append_data(&mut header, path, bytes.as_slice())?;
            }
            _ if header.entry_type().is_symlink() || header.entry_type().is_hard_link() => {
                let target = entry.link_name()?.unwrap_or_default().into_owned();
                out.append_link(&mut header, path, target)?;
            }
            _ => out.append_data(&mut header, path, &mut entry)?,
        }
    }
    out.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(())
}

fn in_manifest(json: &mut serde_json::Value, new: &str) -> bool {
    let Some([image]) = json.as_array_mut().map(Vec::as_mut_slice) else { return false };
    image["RepoTags"] = serde_json::json!([new]);
    true
}

fn in_index(json: &mut serde_json::Value, old: &str, new: &str) -> bool {
    let mut renamed = false;
    for manifest in json["manifests"].as_array_mut().into_iter().flatten() {
        let Some(annotations) = manifest["annotations"].as_object_mut() else { continue };
        if let Some(name) = annotations.get_mut("io.containerd.image.name")
            && name.as_str().is_some_and(|name| name.ends_with(old))
        {
            *name = new.into();
            annotations.insert("org.opencontainers.image.ref.name".into(), split_tag(new).1.into());
            renamed = true;
        }
    }
    renamed
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn tags_are_told_from_ports() {
        assert_eq!(split_tag("127.0.0.1:5000/a/b:v1"), ("127.0.0.1:5000/a/b", "v1"));
        assert_eq!(split_tag("127.0.0.1:5000/a/b"), ("127.0.0.1:5000/a/b", "latest"));
    }

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn renamed(files: &[(&str, &str)]) -> io::Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("to.tar");
        let from = archive(files);
        rename_in_archive(from.as_slice(), "flux-ferry/pause:0123456789ab", "registry.k8s.io/pause:3.10.1", &to)?;
        let mut text = String::new();
        for entry in tar::Archive::new(fs_err::File::open(to)?).entries()? {
            let mut entry = entry?;
            let name = entry.path()?.display().to_string();
            let mut content = String::new();
            entry.read_to_string(&mut content)?;
            text += &format!("{name}: {content}\n");
        }
        Ok(text)
    }

    #[test]
    fn archives_of_old_engines_are_renamed() {
        let files = [
            ("abc/layer.tar", "layer"),
            (
                "manifest.json",
                r#"[{"Config":"abc.json","RepoTags":["flux-ferry/pause:0123456789ab"],"Layers":["abc/layer.tar"]}]"#,
            ),
            ("repositories", r#"{"flux-ferry/pause":{"0123456789ab":"abc"}}"#),
        ];
        insta::assert_snapshot!(renamed(&files).unwrap(), @r#"
        abc/layer.tar: layer
        manifest.json: [{"Config":"abc.json","Layers":["abc/layer.tar"],"RepoTags":["registry.k8s.io/pause:3.10.1"]}]
        "#);
    }

    #[test]
    fn archives_of_new_engines_are_renamed() {
        let files = [
            (
                "index.json",
                r#"{"manifests":[{"annotations":{"io.containerd.image.name":"docker.io/flux-ferry/pause:0123456789ab","org.opencontainers.image.ref.name":"0123456789ab"}}]}"#,
            ),
            ("manifest.json", r#"[{"RepoTags":["flux-ferry/pause:0123456789ab"]}]"#),
        ];
        insta::assert_snapshot!(renamed(&files).unwrap(), @r#"
        index.json: {"manifests":[{"annotations":{"io.containerd.image.name":"registry.k8s.io/pause:3.10.1","org.opencontainers.image.ref.name":"3.10.1"}}]}
        manifest.json: [{"RepoTags":["registry.k8s.io/pause:3.10.1"]}]
        "#);
    }

    #[test]
    fn an_archive_without_the_image_is_an_error() {
        let error = renamed(&[("manifest.json", "[]")]).unwrap_err();
        assert_eq!(error.to_string(), "manifest.json of the saved flux-ferry/pause:0123456789ab does not name it");
    }
}
