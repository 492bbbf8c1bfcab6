//! What the samplers are told to ask, from what the scenario says.

use std::path::PathBuf;

use ferry_probe::{
    Auth, CanarySpec, Connection, DnsSpec, FluxSpec, GrpcSpec, HttpSpec, KindSpec, KubeApiSpec, Pem, Place, ProbeSpec,
    StreamSpec, TcpSpec, TlsSpec,
};
use ferry_scenario::Spanned;
use ferry_scenario::probes::{Ask, Connection as Connect, From as Vantage, Probe};
use ferry_scenario::text::ObjectRef;

use super::kubeconfig;
use crate::steps::{Context, StepError};
use crate::wait::{Check, polled};

/// Where controllers find the API server, and what they show it (Kubernetes' contract with pods).
const API_SERVER: &str = "https://kubernetes.default.svc";
const POD_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// What is asked, by whom.
#[derive(Debug, Default)]
pub struct Specs {
    /// By this host.
    pub outside: Vec<ProbeSpec>,
    /// By agents.
    pub inside: Vec<ProbeSpec>,
    /// Probes whose target moves with a Flux source: which of those inside, and the source.
    pub sources: Vec<(usize, ObjectRef)>,
}

/// What the agent of one node of several asks: the same as the first node's, under names of their own.
pub fn of_node(specs: &[ProbeSpec], node: &str) -> Vec<ProbeSpec> {
    specs.iter().map(|spec| ProbeSpec { node: Some(node.to_owned()), ..spec.clone() }).collect()
}

/// All of these probes.
pub async fn all(probes: &[&Spanned<Probe>], cx: &Context<'_>) -> Result<Specs, StepError> {
    let mut specs = Specs::default();
    for probe in probes {
        for (name, from, connection, kind) in questions(&probe.value, cx).await? {
            let question = probe.question();
            let place = match from {
                Vantage::Outside => Place::Outside,
                Vantage::Inside => Place::Inside,
            };
            let connection = match connection {
                Connect::New => Connection::New,
                Connect::Reused => Connection::Reused,
            };
            let (interval, timeout) = (question.rate().interval(), question.timeout().get());
            let spec = ProbeSpec { name, place, node: None, connection, kind, interval, timeout };
            if let Probe::Flux(flux) = &probe.value {
                specs.sources.push((specs.inside.len(), flux.source.value.clone()));
            }
            match place {
                Place::Outside => specs.outside.push(spec),
                Place::Inside => specs.inside.push(spec),
            }
        }
    }
    Ok(specs)
}

type Asked = (String, Vantage, Connect, KindSpec);

/// A probe as questions from one place, over one kind of connection.
async fn questions(probe: &Probe, cx: &Context<'_>) -> Result<Vec<Asked>, StepError> {
    if let Probe::Canary(canary) = probe {
        let half = |side: &str, address: String, denied| {
            let kind = KindSpec::Canary(CanarySpec { address, denied });
            (format!("{}-{side}", canary.name.value), Vantage::Inside, Connect::New, kind)
        };
        let (allowed, denied) = (canary.allowed.to_string(), canary.denied.to_string());
        return Ok(vec![half("allowed", allowed, false), half("denied", denied, true)]);
    }
    let question = probe.question();
    let mut asked = vec![];
    for from in question.from() {
        for connection in question.connection() {
            let kind = kind(probe, from.value, cx).await?;
            asked.push((question.name().to_string(), from.value, connection.value, kind));
        }
    }
    Ok(asked)
}

async fn kind(probe: &Probe, from: Vantage, cx: &Context<'_>) -> Result<KindSpec, StepError> {
    let outside = from == Vantage::Outside;
    Ok(match probe {
        Probe::Http(http) => {
            let url = match outside {
                true => format!("http://{}{}", published(http.node_port.as_ref(), cx)?, http.path.value),
                false => written(http.url.as_ref().map(|url| url.as_str().to_owned()), "url")?,
            };
            KindSpec::Http(HttpSpec {
                status: http.status.value,
                body_contains: http.contains.as_ref().map(|text| text.value.clone()),
                expect_header: http.header.as_ref().map(|h| (h.name.value.clone(), h.value.value.clone())),
                ..HttpSpec::new(url)
            })
        }
        Probe::Stream(stream) => {
            let url = match outside {
                true => format!("http://{}{}", published(stream.node_port.as_ref(), cx)?, stream.path.value),
                false => written(stream.url.as_ref().map(|url| url.as_str().to_owned()), "url")?,
            };
            KindSpec::Stream(StreamSpec { url, tls: None })
        }
        Probe::Tcp(tcp) => KindSpec::Tcp(TcpSpec {
            address: match outside {
                true => published(tcp.node_port.as_ref(), cx)?,
                false => written(tcp.address.as_ref().map(ToString::to_string), "address")?,
            },
        }),
        Probe::Grpc(grpc) => KindSpec::Grpc(GrpcSpec {
            address: match outside {
                true => published(grpc.node_port.as_ref(), cx)?,
                false => written(grpc.address.as_ref().map(ToString::to_string), "address")?,
            },
            service: grpc.service.clone(),
            tls: None,
        }),
        Probe::Dns(dns) => KindSpec::Dns(DnsSpec {
            name: dns.query.value.clone(),
            server: dns.server.as_ref().map(ToString::to_string),
        }),
        Probe::KubeApi(api) => {
            let (server, tls) = match outside {
                true => kubeconfig::access(cx.stage.kubeconfig())?,
                false => (API_SERVER.into(), in_a_pod()),
            };
            KindSpec::KubeApi(KubeApiSpec { server, tls, list: matches!(api.ask, Ask::List) })
        }
        Probe::Flux(flux) => KindSpec::Flux(first_artifact(&flux.source, cx).await?),
        // Two questions of its own.
        Probe::Canary(_) => return Err(missing("address")),
    })
}

fn in_a_pod() -> TlsSpec {
    TlsSpec { ca: Pem::File(PathBuf::from(POD_CA)), auth: Auth::Token { file: PathBuf::from(POD_TOKEN) } }
}

/// Where a node port answers on this host.
fn published(node_port: Option<&Spanned<u16>>, cx: &Context<'_>) -> Result<String, StepError> {
    let node_port = node_port.ok_or_else(|| missing("node-port"))?;
    Ok(format!("127.0.0.1:{}", cx.stage.published(node_port.value)?))
}

fn written(text: Option<String>, key: &str) -> Result<String, StepError> {
    text.ok_or_else(|| missing(key))
}

/// Lint finds it before a run does.
fn missing(key: &str) -> StepError {
    StepError::mismatch(
        format!("a probe has no `{key}` for the place that it asks from"),
        "run `ferry lint`".to_string(),
    )
}

/// The artifact that a source has now, or as soon as it has one.
async fn first_artifact(source: &ObjectRef, cx: &Context<'_>) -> Result<FluxSpec, StepError> {
    let found = std::sync::Mutex::new(None);
    let looked = polled(super::AGAIN, || async {
        match cx.cluster.get(&source.kind, source.namespace.as_deref(), &source.name).await {
            Ok(object) => match object.as_ref().and_then(super::aim::artifact) {
                Some(artifact) => {
                    if let Ok(mut found) = found.lock() {
                        *found = Some(artifact);
                    }
                    Check::Met("it has an artifact".into())
                }
                None => Check::NotYet(format!("{source} has no artifact")),
            },
            Err(error) => Check::NotYet(crate::edge::chain(&error)),
        }
    });
    cx.until(format!("artifact of {source}"), looked).await?;
    let found = found.into_inner().ok().flatten();
    found.ok_or_else(|| StepError::mismatch(format!("{source} has lost its artifact"), None))
}
