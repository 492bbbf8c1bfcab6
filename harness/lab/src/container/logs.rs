//! What a container said, and how it ended.

use std::path::Path;

use bollard::query_parameters::{LogsOptionsBuilder, WaitContainerOptionsBuilder};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::{ContainerError, ContainerRef};

/// Why a container's output could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The engine did not give it.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// It could not be written down.
    #[error("cannot write a container's output: {0}")]
    Io(#[from] std::io::Error),
}

impl ContainerRef {
    /// Writes all that the container says to a file, with the time of each line, as it says it, until it ends.
    ///
    /// # Errors
    /// When the engine or the disk refuses.
    pub async fn log_to(&self, path: &Path) -> Result<(), LogError> {
        self.write_log(path, true).await
    }

    async fn write_log(&self, path: &Path, follow: bool) -> Result<(), LogError> {
        let options = LogsOptionsBuilder::new().follow(follow).stdout(true).stderr(true).timestamps(true).build();
        let mut file = fs_err::tokio::File::create(path).await?;
        let mut output = self.docker.logs(&self.name, Some(options));
        while let Some(chunk) = output.next().await {
            let chunk = chunk.map_err(|source| self.error("read the output of", source))?;
            file.write_all(chunk.as_ref()).await?;
            file.flush().await?;
        }
        Ok(())
    }

    /// Writes all that the container has said until now to a file, with the time of each line.
    ///
    /// # Errors
    /// When the engine or the disk refuses.
    pub async fn save_log(&self, path: &Path) -> Result<(), LogError> {
        self.write_log(path, false).await
    }

    /// The last `lines` lines that the container said.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn last_lines(&self, lines: u32) -> Result<String, ContainerError> {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let mut output = self.docker.logs(&self.name, Some(options));
        let mut text = String::new();
        while let Some(chunk) = output.next().await {
            let chunk = chunk.map_err(|source| self.error("read the output of", source))?;
            text.push_str(&String::from_utf8_lossy(chunk.as_ref()));
        }
        Ok(text)
    }

    /// Waits until the container ends and returns its exit code.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn exit_code(&self) -> Result<i64, ContainerError> {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        match self.docker.wait_container(&self.name, Some(options)).next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(source)) => Err(self.error("wait for the end of", source)),
            None => {
                let unsaid =
                    std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the engine did not say how it ended");
                Err(self.error("wait for the end of", bollard::errors::Error::IOError { err: unsaid }))
            }
        }
    }
}
