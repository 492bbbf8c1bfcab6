//! What the workload says about itself, as a page and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::config::Config;

/// What distinguishes this instance of the workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// `DEMO_VERSION`.
    pub version: String,
    /// The pod's name, in a pod.
    pub hostname: String,
    /// The variables to show.
    pub env: BTreeMap<String, String>,
}

impl Facts {
    /// Reads the host name as the kernel has it: neither a resolver nor a variable is asked.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let hostname = fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self { version: config.version.clone(), hostname: hostname.trim().into(), env: config.shown.clone() }
    }

    /// A self-contained page.
    #[must_use]
    pub fn html(&self) -> String {
        let mut rows = String::new();
        for (name, value) in &self.env {
            // Writing to a string cannot fail.
            writeln!(rows, "<tr><th>{}</th><td>{}</td></tr>", escaped(name), escaped(value)).ok();
        }
        let (version, hostname) = (escaped(&self.version), escaped(&self.hostname));
        format!(
            "<!doctype html>\n\
             <html lang=\"en\">\n\
             <meta charset=\"utf-8\">\n\
             <title>Flux Ferry demo {version}</title>\n\
             <style>body{{font:1rem/1.5 system-ui;margin:2rem}}th{{text-align:left;padding-right:2rem}}</style>\n\
             <h1>Flux Ferry demo</h1>\n\
             <p>Version <b>{version}</b> on <b>{hostname}</b></p>\n\
             <table>\n{rows}</table>\n\
             </html>\n"
        )
    }
}

/// Text as it may stand in HTML, attributes included.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let env = [("DEMO_COLOUR", "blue"), ("DEMO_NOTE", "<b>\"a\" & 'b'</b>")];
        Facts {
            version: "2.0".into(),
            hostname: "web-5d4f8-abcde".into(),
            env: env.map(|(name, value)| (name.into(), value.into())).into(),
        }
    }

    #[test]
    fn the_page() {
        insta::assert_snapshot!(facts().html(), @r#"
        <!doctype html>
        <html lang="en">
        <meta charset="utf-8">
        <title>Flux Ferry demo 2.0</title>
        <style>body{font:1rem/1.5 system-ui;margin:2rem}th{text-align:left;padding-right:2rem}</style>
        <h1>Flux Ferry demo</h1>
        <p>Version <b>2.0</b> on <b>web-5d4f8-abcde</b></p>
        <table>
        <tr><th>DEMO_COLOUR</th><td>blue</td></tr>
        <tr><th>DEMO_NOTE</th><td>&lt;b&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/b&gt;</td></tr>
        </table>
        </html>
        "#);
    }

    #[test]
    fn the_json() {
        insta::assert_json_snapshot!(facts(), @r#"
        {
          "version": "2.0",
          "hostname": "web-5d4f8-abcde",
          "env": {
            "DEMO_COLOUR": "blue",
            "DEMO_NOTE": "<b>\"a\" & 'b'</b>"
          }
        }
        "#);
    }
}
