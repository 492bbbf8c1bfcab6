//! The way to one node's agent: through the API server's proxy, which every cluster has, to whichever pod is the agent's now.

use std::time::Duration;

use ferry_probe::agent::protocol::{Call, PORT};
use http::Request;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ListParams};

use super::{APP, NAMESPACE};

/// How long one answer may take, beyond the time that the agent was asked to wait.
const ANSWER: Duration = Duration::from_secs(5);

/// Why an agent did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The API server or the agent refused, or could not be reached.
    #[error("{what}: {}", crate::cluster::in_words(source))]
    Api {
        /// What was asked.
        what: String,
        /// What came back.
        source: Box<kube::Error>,
    },
    /// There is no agent to ask right now.
    #[error("no agent runs on node {0}")]
    NoAgent(String),
    /// No answer.
    #[error("{what}: no answer within {within:?}")]
    Silent {
        /// What was asked.
        what: String,
        /// What it had.
        within: Duration,
    },
}

/// The agent of one node.
#[derive(Clone)]
pub struct Link {
    client: Client,
    /// Its node.
    pub node: String,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Link {
    /// To the agent of `node`.
    pub fn new(client: Client, node: String) -> Self {
        Self { client, node }
    }

    /// Asks the agent, which may take `wait` to answer, and returns what it says.
    pub async fn ask(&self, call: Call<'_>, wait: Duration) -> Result<String, LinkError> {
        let (method, path) = (call.method(), call.path());
        let what = format!("{method} {path} of the agent on {}", self.node);
        let within = wait + ANSWER;
        let asked = async {
            let pod = self.pod().await?;
            let uri = format!("/api/v1/namespaces/{NAMESPACE}/pods/http:{pod}:{PORT}/proxy{path}");
            let failed = |source: kube::Error| LinkError::Api { what: what.clone(), source: Box::new(source) };
            let body = call.body().map_err(|error| failed(kube::Error::SerdeError(error)))?;
            let request = Request::builder().method(method).uri(uri).body(body);
            let request = request.map_err(|error| failed(kube::Error::HttpError(error)))?;
            self.client.request_text(request).await.map_err(failed)
        };
        match tokio::time::timeout(within, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(LinkError::Silent { what, within }),
        }
    }

    /// The pod that is the agent now.
    async fn pod(&self) -> Result<String, LinkError> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let mine = ListParams::default().labels(&format!("app={APP}")).fields(&format!("spec.nodeName={}", self.node));
        let what = || format!("list the agents on {}", self.node);
        let found = pods.list(&mine).await.map_err(|e| LinkError::Api { what: what(), source: Box::new(e) })?;
        let live = found.items.into_iter().find(|pod| pod.metadata.deletion_timestamp.is_none());
        live.and_then(|pod| pod.metadata.name).ok_or_else(|| LinkError::NoAgent(self.node.clone()))
    }
}
