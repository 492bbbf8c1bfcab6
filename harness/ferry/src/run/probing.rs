//! From the scenario's probes to samplers on real targets.

use std::time::Duration;

use ferry_probe::{Connection, HttpSpec, KindSpec, Place, ProbeSpec, Sampler, SamplerHandle};
use ferry_scenario::probes::{Connection as Connect, From as Vantage, Http, Probe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::steps::{Context, StepError};
use crate::wait::{Check, polled};

/// How long all targets may take to answer once, after the first phase has brought them up. A Service's endpoints reach
/// the nodes' rules within a second or two.
pub const TARGET_DEADLINE: Duration = Duration::from_secs(60);

/// How often a target that does not answer yet is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// Waits for the workloads and for each target's first answer, then starts sampling.
pub async fn start(cx: &Context<'_>) -> Result<SamplerHandle, StepError> {
    for workload in &cx.scenario.workloads {
        cx.ready(&workload.kind, workload.namespace.as_deref(), &workload.name).await?;
    }
    let mut specs = vec![];
    for probe in &cx.scenario.probes {
        match &probe.value {
            Probe::Http(http) if !probe.asks_from(Vantage::Inside) && http.header.is_none() => {
                specs.extend(http_specs(http, cx).await?)
            }
            probe => return Err(not_yet(probe)),
        }
    }
    let recorder = cx.recorder.clone();
    Sampler::start(*cx.recorder.clock(), specs, move |event| recorder.emit(event)).map_err(|e| {
        let hint = "check the probe's `rate`, `timeout` and `path`".to_string();
        StepError::mismatch(format!("the sampler cannot start: {e}"), hint)
    })
}

/// A probe that nobody can ask yet: better no run than one that looked at less than it says.
fn not_yet(probe: &Probe) -> StepError {
    let what = format!("the {} probe {} is not yet asked as it says", probe.kind(), probe.name().value);
    StepError::mismatch(what, "http probes from outside are, as long as they expect no header".to_string())
}

async fn http_specs(http: &Http, cx: &Context<'_>) -> Result<Vec<ProbeSpec>, StepError> {
    let Some(node_port) = &http.node_port else {
        let what = format!("the probe {} has no node port", http.name.value);
        return Err(StepError::mismatch(what, "`ferry lint` says what to add".to_string()));
    };
    let port = cx.stage.published(node_port.value)?;
    let authority = format!("127.0.0.1:{port}");
    let (path, status) = (http.path.value.as_str(), http.status.value);
    let first = polled(AGAIN, || ask_once(&authority, path, status));
    cx.until(format!("first answer of probe {}", http.name.value), first).await?;
    let body_contains = http.contains.as_ref().map(|text| text.value.clone());
    let question = HttpSpec { status, body_contains, ..HttpSpec::new(format!("http://{authority}{path}")) };
    let connections = http.connection.iter().map(|connection| match connection.value {
        Connect::New => Connection::New,
        Connect::Reused => Connection::Reused,
    });
    let specs = connections.map(|connection| ProbeSpec {
        name: http.name.value.to_string(),
        place: Place::Outside,
        connection,
        kind: KindSpec::Http(question.clone()),
        interval: http.rate.interval(),
        timeout: http.timeout.get(),
    });
    Ok(specs.collect())
}

/// One request by hand: only whether the target is up, before anything is measured.
async fn ask_once(authority: &str, path: &str, status: u16) -> Check {
    let ask = async {
        let mut stream = TcpStream::connect(authority).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    match tokio::time::timeout(Duration::from_secs(1), ask).await {
        Ok(Ok(line)) if line.ends_with(&format!(" {status}")) => Check::Met(line),
        Ok(Ok(line)) => Check::NotYet(format!("{authority} answers {line:?}, not {status}")),
        Ok(Err(error)) => Check::NotYet(format!("{authority} does not answer: {error}")),
        Err(_) => Check::NotYet(format!("{authority} did not answer within 1s")),
    }
}
