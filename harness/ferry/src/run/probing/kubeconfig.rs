//! How the run's kubeconfig reaches the API server, as probes need to know it.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferry_probe::{Auth, Pem, TlsSpec};
use serde_json::Value;

use crate::steps::StepError;

/// The server's URL, and whom to trust and as whom to ask.
pub(super) fn access(kubeconfig: &Path) -> Result<(String, TlsSpec), StepError> {
    let text = fs_err::read_to_string(kubeconfig)?;
    read(&text).map_err(|missing| {
        let what = format!("the run's kubeconfig {} has no {missing}", kubeconfig.display());
        StepError::mismatch(what, "kube-api probes from outside ask with a client certificate".to_string())
    })
}

/// The only cluster and user of a run's kubeconfig; otherwise the name of what is missing.
fn read(text: &str) -> Result<(String, TlsSpec), &'static str> {
    let file: Value = serde_yaml::from_str(text).map_err(|_| "content that is YAML")?;
    let at = |pointer: &str| file.pointer(pointer).and_then(Value::as_str);
    let pem = |pointer: &str| {
        let bytes = STANDARD.decode(at(pointer)?.trim()).ok()?;
        Some(Pem::Inline(String::from_utf8(bytes).ok()?))
    };
    let server = at("/clusters/0/cluster/server").ok_or("server")?.to_owned();
    let ca = pem("/clusters/0/cluster/certificate-authority-data").ok_or("CA")?;
    let certificate = pem("/users/0/user/client-certificate-data").ok_or("client certificate")?;
    let key = pem("/users/0/user/client-key-data").ok_or("client key")?;
    Ok((server, TlsSpec { ca, auth: Auth::Certificate { certificate, key } }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const GOOD: &str = "clusters: [{cluster: {server: 'https://127.0.0.1:6443', certificate-authority-data: Y2E=}}]\n\
                        users: [{user: {client-certificate-data: Y2VydA==, client-key-data: a2V5}}]\n";

    #[test]
    fn a_kubeconfig_of_kind_has_all_that_is_needed() {
        let (server, tls) = read(GOOD).unwrap();
        assert_eq!((server.as_str(), tls.ca), ("https://127.0.0.1:6443", Pem::Inline("ca".into())));
        let (certificate, key) = (Pem::Inline("cert".into()), Pem::Inline("key".into()));
        assert_eq!(tls.auth, Auth::Certificate { certificate, key });
    }

    #[rstest]
    #[case::empty("", "server")]
    #[case::not_base64(&GOOD.replace("a2V5", "'%'"), "client key")]
    #[case::a_token_instead(&GOOD.replace("client-certificate-data", "token"), "client certificate")]
    #[case::no_yaml("{", "content that is YAML")]
    fn what_is_missing_is_named(#[case] text: &str, #[case] missing: &str) {
        assert_eq!(read(text).unwrap_err(), missing);
    }
}
